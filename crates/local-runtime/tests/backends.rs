//! A real broker and a real database server, on free ports and in a temporary folder.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use local_runtime::backends::{Backends, START_LIMIT};
use local_runtime::download::{Installation, KAFKA_VERSION, Sources};
use local_runtime::free_ports;
use local_runtime::kafka::KAFKA;
use local_runtime::kafka_tools;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{ProcessState, Processes};
use local_runtime::state_dir::StateDir;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn sources() -> Sources {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sandbox/dist");
    Sources {
        dist,
        kafka_version: KAFKA_VERSION.to_owned(),
        kafka_home: None,
        pg_bin: None,
    }
}

/// A name with every character that a properties file, a class path, a URL, a shell line, a pattern or SQL could take for
/// something else.
const NAME: &str = r#"a,b Büro%20#1=2:3!/ [4]*?;$HOME`'"\ é"#;

/// The folder is the first value, so it is dropped last: cleaning up needs the list in it.
async fn stack() -> (TempDir, Installation, Backends, Processes) {
    let installation = sources().fetch(false, |_| {}).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL may run as another user.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state_dir = StateDir::at(&folder.path().join(NAME)).unwrap();
    let backends = Backends::on_free_ports(&state_dir, &installation).unwrap();
    (
        folder,
        installation,
        backends,
        Processes::kill_on_drop(&state_dir),
    )
}

fn tool(installation: &Installation, backends: &Backends, line: &str) -> String {
    let mut words = line.split(' ');
    let name = words.next().unwrap();
    let arguments: Vec<_> = words.map(Into::into).collect();
    let mut command =
        kafka_tools::command(installation, &backends.kafka.bootstrap(), name, &arguments).unwrap();
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn broker_and_database_keep_their_data_over_a_restart() {
    let (folder, installation, backends, processes) = stack().await;
    backends.start(&processes).await.unwrap();
    let database = backends.postgres.server();
    for _ in 0..2 {
        // The second time, both exist already.
        database
            .create_database("orders", "orders_db")
            .await
            .unwrap();
    }
    tool(
        &installation,
        &backends,
        "topics --create --topic kept --partitions 3",
    );

    backends.stop(&processes).await.unwrap();
    assert!(!backends.kafka.answers().await && !database.answers().await);
    let ended = |name| {
        processes
            .state(&processes.record(name).unwrap().unwrap())
            .unwrap()
    };
    assert_eq!(ended(POSTGRES), ProcessState::Ended(Some(0)));
    assert_eq!(
        ended(KAFKA),
        ProcessState::Ended(Some(128 + 15)),
        "the JVM ends with the code of the stop signal"
    );

    backends.start(&processes).await.unwrap();
    assert_eq!(
        tool(&installation, &backends, "kafka-topics.sh --list").trim(),
        "kept"
    );
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'orders_db'";
    assert_eq!(database.sql("postgres", owner).await.unwrap(), "orders");
    database.drop_database("orders_db").await.unwrap();
    assert_eq!(database.sql("postgres", owner).await.unwrap(), "");

    let state_dir = processes.state_dir();
    let log = fs::read_to_string(state_dir.logs().join("postgres.log")).unwrap();
    let faults = ["FATAL", "ERROR", "PANIC"];
    let fault = log
        .lines()
        .find(|line| faults.iter().any(|fault| line.contains(fault)));
    assert_eq!(fault, None, "clients connect only when the server is ready");
    assert!(state_dir.data().join("kafka/kept-0").is_dir());
    let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(
        beside.len(),
        1,
        "all data is in the state directory: {beside:?}"
    );

    backends.stop(&processes).await.unwrap();
    state_dir.remove_data().unwrap();
    assert_eq!(fs::read_dir(state_dir.folder()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_warnings_of_a_tool_without_a_broker_are_not_in_its_output() {
    let installation = sources().fetch(false, |_| {}).await.unwrap();
    let [port] = free_ports::free().unwrap();
    let arguments = ["--list", "--timeout", "1000"].map(Into::into);
    let broker = format!("127.0.0.1:{port}");
    let mut command =
        kafka_tools::command(&installation, &broker, "consumer-groups", &arguments).unwrap();
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (output, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(errors.contains(" WARN "), "{errors}");
    assert!(!output.contains("WARN"), "{output}");
}

#[tokio::test]
async fn the_error_of_a_failed_start_names_javas_reason_and_not_that_of_an_earlier_start() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = StateDir::at(folder.path()).unwrap();
    let processes = Processes::kill_on_drop(&state_dir);
    let installation = sources().fetch(false, |_| {}).await.unwrap();
    let backends = Backends::on_free_ports(&state_dir, &installation).unwrap();
    fs::write(
        state_dir.logs().join("kafka.log"),
        "2026-01-31T12:00:00Z ERROR Kafka: an earlier start\njava.io.IOException: earlier\n\tat a.B.c(B.java:1)\n",
    )
    .unwrap();
    let mut program = backends.kafka.program();
    program.arguments.insert(0, "-Xnonsense".into());
    // Java may end before `start` returns, or after it.
    let error = match processes.start(&program).await {
        Err(error) => error,
        Ok(_) => backends
            .kafka
            .ready(&processes, START_LIMIT)
            .await
            .unwrap_err(),
    };
    let error = error.to_string();
    assert!(
        error.ends_with(": Unrecognized option: -Xnonsense"),
        "{error}"
    );
}

#[tokio::test]
async fn a_broker_whose_port_is_taken_is_not_started() {
    let (_folder, _, backends, processes) = stack().await;
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, backends.kafka.port)).unwrap();
    let error = backends.start(&processes).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!(
            "port {} for Kafka is taken by",
            backends.kafka.port
        )),
        "{error}"
    );
    assert!(!processes.runs(KAFKA).unwrap());
}

#[tokio::test]
async fn fetch_offline_names_the_missing_downloads() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources {
        dist: folder.path().join("dist"),
        kafka_version: KAFKA_VERSION.to_owned(),
        kafka_home: None,
        pg_bin: None,
    };
    let error = sources.fetch(true, |_| {}).await.unwrap_err().to_string();
    assert!(
        error.contains("Apache Kafka's jars") && error.contains("PostgreSQL's archive"),
        "{error}"
    );
    assert!(error.contains("./sandbox fetch"), "{error}");
}

#[test]
fn the_error_for_an_unknown_kafka_tool_lists_all_tools() {
    let installation = Installation {
        kafka_libs: "libs".into(),
        postgres_bin: "bin".into(),
    };
    let error = kafka_tools::command(&installation, "127.0.0.1:9092", "topic", &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no Kafka tool \"topic\"") && error.contains("topics"),
        "{error}"
    );
}

#[test]
fn a_folder_of_programs_that_they_cannot_use_is_refused_by_its_character() {
    let parent = tempfile::tempdir().unwrap();
    for (libs, bin, found) in [
        ("a:b", "bin", "':'"),
        ("a", "bi$n", "'$'"),
        ("a", "bi\"n", "'\"'"),
    ] {
        let (kafka_home, pg_bin) = (parent.path().join(libs), parent.path().join(bin));
        fs::create_dir_all(kafka_home.join("libs")).unwrap();
        fs::create_dir_all(&pg_bin).unwrap();
        for file in [
            kafka_home.join("libs/kafka.jar"),
            pg_bin.join("initdb"),
            pg_bin.join("postgres"),
        ] {
            fs::write(file, "").unwrap();
        }
        let sources = Sources {
            dist: parent.path().to_owned(),
            kafka_version: KAFKA_VERSION.to_owned(),
            kafka_home: Some(kafka_home),
            pg_bin: Some(pg_bin),
        };
        let error = sources.installed().unwrap_err().to_string();
        assert!(
            error.contains(&format!("the path holds {found}")),
            "{error}"
        );
    }
}

#[test]
fn a_tool_gets_the_broker_unless_its_arguments_name_one() {
    let installation = Installation {
        kafka_libs: "libs".into(),
        postgres_bin: "bin".into(),
    };
    let line = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        format!(
            "{:?}",
            kafka_tools::command(&installation, "127.0.0.1:9092", "topics", &arguments).unwrap()
        )
    };
    assert!(line(&["--list"]).ends_with(r#""--bootstrap-server" "127.0.0.1:9092" "--list""#));
    assert!(!line(&["--list", "--bootstrap-server=other:1"]).contains("9092"));
}
