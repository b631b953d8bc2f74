//! The stacks that other tests rely on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use local_runtime::database::DatabaseServer;
use local_runtime::process::Program;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use test_stack::{dedicated, eventually, shared};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn tests_of_one_name_get_different_prefixes_and_databases() {
    let stack = shared().await;
    assert_ne!(stack.unique_prefix("a test"), stack.unique_prefix("a test"));
    let (one, other) = (
        stack.database("a test").await,
        stack.database("a test").await,
    );
    assert_ne!(one, other);
    let long = stack.unique_prefix(&"long".repeat(100));
    assert!(
        long.len() <= 64
            && long
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
        "{long}"
    );
}

#[tokio::test]
async fn a_killed_database_keeps_committed_rows() {
    let own = dedicated().await;
    let write = "CREATE TABLE kept (n INT); INSERT INTO kept VALUES (42);";
    own.server().sql("postgres", write).await.unwrap();
    own.kill_postgres().await;
    assert!(!own.server().answers().await);
    own.start_postgres().await;
    assert_eq!(
        own.server()
            .sql("postgres", "SELECT n FROM kept")
            .await
            .unwrap(),
        "42"
    );
}

/// A client that stays connected.
struct Session {
    questions: tokio::process::ChildStdin,
    answers: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
    _psql: tokio::process::Child,
}

impl Session {
    fn with(server: DatabaseServer) -> Self {
        let mut psql = tokio::process::Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .arg(server.admin_url("postgres"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            questions: psql.stdin.take().unwrap(),
            answers: tokio::io::BufReader::new(psql.stdout.take().unwrap()).lines(),
            _psql: psql,
        }
    }

    async fn ask(&mut self, number: u8) {
        let question = format!("SELECT {number};\n");
        self.questions.write_all(question.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> String {
        self.answers.next_line().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn pausing_the_database_pauses_the_backend_of_every_client() {
    let own = dedicated().await;
    let server = own.server();
    let mut session = Session::with(server);
    session.ask(1).await;
    assert_eq!(session.answer().await, "1");

    own.pause_postgres();
    session.ask(2).await;
    tokio::select! {
        biased;
        answer = session.answer() => panic!("a paused backend answers {answer}"),
        // Takes a second, in which a running backend would have answered.
        accepted = server.answers() => assert!(!accepted, "a paused server accepts no client"),
    }

    own.resume_postgres();
    assert_eq!(session.answer().await, "2");
    eventually(SOON, "the server accepts clients again", async || {
        if server.answers().await {
            Ok(())
        } else {
            Err("no answer")
        }
    })
    .await;
}

#[tokio::test]
async fn a_stopped_broker_answers_again_on_the_same_port_after_its_start() {
    let own = dedicated().await;
    let bootstrap = own.bootstrap();
    let address: SocketAddr = bootstrap.parse().unwrap();
    own.stop_kafka().await;
    until_closed(&[address]).await;
    own.start_kafka().await;
    assert_eq!(own.bootstrap(), bootstrap);
    TcpStream::connect(address).unwrap();
}

async fn until_closed(addresses: &[SocketAddr]) {
    eventually(SOON, "no server listens", async || {
        match addresses.iter().find(|one| TcpStream::connect(one).is_ok()) {
            Some(one) => Err(format!("{one} is open")),
            None => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_killed_test_leaves_no_processes_files_or_containers() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "holds_a_stack_until_it_is_killed",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let line = lines
        .find_map(|line| Some(line.unwrap().split_once("holds: ")?.1.to_owned()))
        .unwrap();
    let [folder, kafka, postgres] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let folder = PathBuf::from(folder);
    let addresses = [kafka, postgres].map(|address| address.parse().unwrap());
    assert!(folder.is_dir());
    assert!(addresses.iter().all(|one| TcpStream::connect(one).is_ok()));
    assert_eq!(containers(test.id()).len(), if in_docker() { 2 } else { 0 });

    test.kill().unwrap();
    test.wait().unwrap();
    until_closed(&addresses).await;
    eventually(SOON, "folder and containers are gone", async || {
        let left = containers(test.id());
        if left.is_empty() && !folder.exists() {
            Ok(())
        } else {
            Err(format!("{left:?} and {}", folder.display()))
        }
    })
    .await;
}

#[allow(clippy::disallowed_methods, reason = "a test's setting")]
fn in_docker() -> bool {
    std::env::var("SANDBOX_TEST_STACK").is_ok_and(|stack| stack == "docker")
}

/// The containers whose label names this test process.
fn containers(pid: u32) -> Vec<String> {
    if !in_docker() {
        return Vec::new();
    }
    let listed = Command::new("docker")
        .args(["ps", "--all", "--filter", "label=saga-sandbox.test"])
        .args(["--format", "{{.Label \"saga-sandbox.test\"}} {{.Image}}"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let own = listed
        .lines()
        .filter(|line| line.starts_with(&format!("{pid}-")));
    own.map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "started and killed by a_killed_test_leaves_no_processes_files_or_containers"]
async fn holds_a_stack_until_it_is_killed() {
    let own = dedicated().await;
    let mut sleeper = Program::new("sleeper", "sleep");
    sleeper.arguments = vec!["600".into()];
    own.processes().start(&sleeper).await.unwrap();
    println!(
        "holds: {} {} {}",
        own.processes().state_dir().folder().display(),
        own.bootstrap(),
        own.server().0
    );
    // Ends when the test that started it has ended.
    std::io::stdin().lines().for_each(drop);
}

#[tokio::test]
#[should_panic(expected = "not within 60ms: the impossible; last seen: 1 is not 2")]
async fn a_failed_wait_names_what_was_seen_last() {
    eventually::<(), _>(Duration::from_millis(60), "the impossible", async || {
        Err("1 is not 2")
    })
    .await;
}
