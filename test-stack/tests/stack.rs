//! The stacks that other tests rely on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use local_runtime::database::Server;
use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::State;
use local_runtime::tree::{Activity, Identity};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use test_stack::{OwnStack, eventually, exclusive, shared};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_tests_of_one_name_share_neither_prefix_nor_database() {
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
async fn a_killed_database_comes_back_with_what_was_committed() {
    let own = exclusive().await;
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

#[tokio::test]
async fn pausing_the_database_freezes_the_backend_of_every_client() {
    let own = exclusive().await;
    let server = own.server();
    let mut clients = tokio::task::JoinSet::new();
    clients.spawn(server_sleeps(server));
    let backend = eventually(SOON, "a backend that works for a client", async || {
        let busy = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
        let pid = server.sql("postgres", busy).await.unwrap();
        pid.parse::<i32>().map_err(|_| format!("{pid:?}"))
    });
    let backend = Identity::of(backend.await).unwrap().unwrap();

    own.pause_postgres();
    eventually(SOON, "the backend is frozen", async || {
        match backend.activity().unwrap() {
            Some(Activity::Paused) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(
        !server.answers().await,
        "a frozen server must accept nobody"
    );

    own.continue_postgres();
    eventually(SOON, "the server accepts clients again", async || {
        if server.answers().await {
            Ok(())
        } else {
            Err("no answer")
        }
    })
    .await;
    assert_eq!(backend.activity().unwrap(), Some(Activity::Running));
}

async fn server_sleeps(server: Server) {
    // Ends with an error when the test is over and the server goes.
    let _ended = server.sql("postgres", "SELECT pg_sleep(60)").await;
}

#[tokio::test]
async fn a_stopped_broker_answers_again_on_the_same_port_after_its_start() {
    let own = exclusive().await;
    let bootstrap = own.bootstrap();
    own.stop_kafka().await;
    assert_eq!(state(&own, KAFKA), State::Ended(Some(143)));
    own.start_kafka().await;
    assert_eq!(state(&own, KAFKA), State::Running);
    assert_eq!(own.bootstrap(), bootstrap);
}

fn state(own: &OwnStack, name: &str) -> State {
    own.processes()
        .state(&own.processes().record(name).unwrap().unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_killed_test_leaves_neither_processes_nor_files() {
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
    let alive = [kafka, postgres].map(|pid| Identity::of(pid.parse().unwrap()).unwrap().unwrap());
    assert!(folder.is_dir());

    test.kill().unwrap();
    test.wait().unwrap();
    eventually(
        SOON,
        "broker, database and their folder are gone",
        async || {
            let left: Vec<_> = alive.iter().filter(|process| process.lives()).collect();
            if left.is_empty() && !folder.exists() {
                Ok(())
            } else {
                Err(format!("{left:?} in {}", folder.display()))
            }
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "the victim of a_killed_test_leaves_neither_processes_nor_files, which starts it"]
async fn holds_a_stack_until_it_is_killed() {
    let own = exclusive().await;
    let pid = |name| own.processes().record(name).unwrap().unwrap().process.pid;
    println!(
        "holds: {} {} {}",
        own.processes().home().folder().display(),
        pid(KAFKA),
        pid(POSTGRES)
    );
    // Ends by itself when the test that started it is gone.
    std::io::stdin().lines().for_each(drop);
}

#[tokio::test]
#[should_panic(expected = "not within 60ms: the impossible; last seen: 1 is not 2")]
async fn waiting_in_vain_says_what_was_seen_last() {
    eventually::<(), _>(Duration::from_millis(60), "the impossible", async || {
        Err("1 is not 2")
    })
    .await;
}
