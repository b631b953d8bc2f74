//! Starting, finding, freezing and ending programs. The programs are shells and `sleep`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use local_runtime::home::Home;
use local_runtime::ports;
use local_runtime::process::{Processes, Program, State, Stopped};
use local_runtime::tree::{Activity, Identity, Signal};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);

/// A home of its own, whose programs do not outlive the test.
fn guarded() -> (Processes, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        Processes::guarded(&Home::at(folder.path()).unwrap()),
        folder,
    )
}

fn shell(name: &str, script: &str) -> Program {
    let mut program = Program::new(name, "sh");
    program.arguments = vec!["-c".into(), script.into()];
    program
}

/// Looks again until `seen` is as wanted.
async fn becomes<T: PartialEq + std::fmt::Debug>(wanted: T, mut seen: impl FnMut() -> T) {
    let deadline = Instant::now() + LONG;
    loop {
        let now = seen();
        if now == wanted {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "expected {wanted:?}, last seen {now:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn state(processes: &Processes, name: &str) -> State {
    processes
        .state(&processes.record(name).unwrap().unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_program_outlives_whoever_started_it_and_is_found_by_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let started = Processes::of(&home)
        .start(&shell("one", "exec sleep 600"))
        .await
        .unwrap();

    let later = Processes::of(&home);
    assert_eq!(later.records().unwrap(), vec![started.clone()]);
    assert_eq!(later.state(&started).unwrap(), State::Running);
    assert_eq!(later.stop("one", LONG).await.unwrap(), Stopped::InTime);
    assert_eq!(later.state(&started).unwrap(), State::Ended(Some(128 + 15)));
    assert!(!started.keeper.lives());
}

#[tokio::test]
async fn how_a_program_ended_is_known_afterwards_with_its_last_words() {
    let (processes, folder) = guarded();
    // It ends after its start is over: one that ends before has not started.
    let go = folder.path().join("go");
    let words = format!(
        "until [ -e {} ]; do sleep 0.05; done; echo no such database; exit 3",
        go.display()
    );
    processes.start(&shell("one", &words)).await.unwrap();
    std::fs::write(&go, "").unwrap();
    becomes(State::Ended(Some(3)), || state(&processes, "one")).await;
    assert_eq!(processes.last_log_line("one").unwrap(), "no such database");
}

#[tokio::test]
async fn a_program_that_runs_is_not_started_twice_and_its_starts_are_counted() {
    let (processes, _folder) = guarded();
    let sleeper = shell("one", "exec sleep 600");
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 1);
    let refused = processes.start(&sleeper).await.unwrap_err();
    assert_eq!(refused.to_string(), "one already runs");

    assert!(processes.kill("one").await.unwrap());
    assert_eq!(state(&processes, "one"), State::Ended(Some(128 + 9)));
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 2);
    assert!(
        processes.forget("one").is_err(),
        "what runs is not forgotten"
    );
    processes.kill("one").await.unwrap();
    processes.forget("one").unwrap();
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 1);
}

#[tokio::test]
async fn a_program_deaf_to_the_request_is_killed_when_its_time_is_over() {
    let (processes, _folder) = guarded();
    processes
        .start(&shell(
            "deaf",
            "trap '' TERM; echo ready; while :; do sleep 1; done",
        ))
        .await
        .unwrap();
    becomes(Some("ready".to_owned()), || processes.last_log_line("deaf")).await;
    assert_eq!(
        processes
            .stop("deaf", Duration::from_millis(200))
            .await
            .unwrap(),
        Stopped::Killed
    );
    assert_eq!(state(&processes, "deaf"), State::Ended(Some(128 + 9)));
}

#[tokio::test]
async fn a_paused_program_is_frozen_with_its_children_and_can_still_be_stopped() {
    let (processes, _folder) = guarded();
    let record = processes
        .start(&shell("parent", "sleep 600 & sleep 601 & wait"))
        .await
        .unwrap();
    becomes(2, || record.process.descendants().unwrap().len()).await;
    let family = record.process.descendants().unwrap();

    assert!(processes.pause("parent").unwrap());
    for child in &family {
        becomes(Some(Activity::Paused), || child.activity().unwrap()).await;
    }
    becomes(State::Paused, || state(&processes, "parent")).await;

    assert!(processes.resume("parent").unwrap());
    for child in &family {
        becomes(Some(Activity::Running), || child.activity().unwrap()).await;
    }

    processes.pause("parent").unwrap();
    assert_eq!(
        processes.stop("parent", LONG).await.unwrap(),
        Stopped::InTime
    );
    assert!(
        family.iter().all(|child| !child.lives()),
        "a stopped program leaves no children behind"
    );
}

#[tokio::test]
async fn a_program_whose_id_now_belongs_to_somebody_else_is_never_signalled() {
    let (processes, folder) = guarded();
    let mut stranger = Stranger(Command::new("sleep").arg("600").spawn().unwrap());
    let id = i32::try_from(stranger.0.id()).unwrap();
    let real = Identity::of(id).unwrap().unwrap();

    // The record of a program that ended, whose id the stranger got: same id, started at another time, or before a reboot.
    processes
        .start(&shell("gone", "exec sleep 600"))
        .await
        .unwrap();
    processes.kill("gone").await.unwrap();
    for (started, boot) in [
        (real.started - 1, real.boot.clone()),
        (real.started, "another boot".to_owned()),
    ] {
        let mut record = processes.record("gone").unwrap().unwrap();
        record.process = Identity {
            pid: id,
            started,
            boot,
        };
        assert!(!record.process.signal(Signal::KILL).unwrap());
        let path = folder.path().join("run/gone.json");
        std::fs::write(path, serde_json::to_string(&record).unwrap()).unwrap();

        assert_eq!(
            processes.stop("gone", LONG).await.unwrap(),
            Stopped::NotRunning
        );
        assert!(!processes.kill("gone").await.unwrap());
        assert!(!processes.pause("gone").unwrap());
        assert_eq!(real.activity().unwrap(), Some(Activity::Running));
    }
    assert!(
        stranger.0.try_wait().unwrap().is_none(),
        "the stranger lives"
    );
    assert!(real.signal(Signal::KILL).unwrap(), "the right one is hit");
    stranger.0.wait().unwrap();
}

/// Ends with the test, also with one that fails.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended = self.0.kill();
    }
}

#[tokio::test]
async fn a_guarded_home_is_removed_with_its_programs() {
    let (processes, folder) = guarded();
    let record = processes
        .start(&shell("one", "exec sleep 600"))
        .await
        .unwrap();
    drop(processes);
    becomes(false, || record.process.lives() || folder.path().exists()).await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let (processes, _folder) = guarded();
    let missing = processes
        .start(&Program::new("one", "no-such-program"))
        .await
        .unwrap_err();
    assert_eq!(missing.to_string(), "no-such-program is not installed");
    let elsewhere = processes
        .start(&Program::new("one", "/no/such/program"))
        .await
        .unwrap_err();
    assert_eq!(elsewhere.to_string(), "/no/such/program is not there");
    for name in ["", "a/b", "a b"] {
        let error = processes.start(&shell(name, "true")).await.unwrap_err();
        assert!(
            error.to_string().contains("cannot name a process"),
            "{error}"
        );
    }
    assert_eq!(processes.records().unwrap(), vec![]);
}

#[test]
fn a_taken_port_is_named_with_the_process_that_holds_it() {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listener = TcpListener::bind((local, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = ports::require_free("Kafka", local, port, "KAFKA_PORT")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("port {port} for Kafka is taken by ")),
        "{error}"
    );
    assert!(
        error.contains(&format!("(process {})", std::process::id())),
        "{error}"
    );
    assert!(error.ends_with("choose another with KAFKA_PORT"), "{error}");

    drop(listener);
    ports::require_free("Kafka", local, port, "KAFKA_PORT").unwrap();
    assert_eq!(ports::holder(port).unwrap(), None);
}

#[test]
fn free_ports_differ() {
    let [a, b, c] = ports::free().unwrap();
    assert!(a != b && b != c && a != c);
}

#[test]
fn one_command_at_a_time_has_the_home() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let first = home.try_lock().unwrap();
    assert!(first.is_some());
    assert!(home.try_lock().unwrap().is_none());
    drop(first);
    assert!(home.try_lock().unwrap().is_some());
}
