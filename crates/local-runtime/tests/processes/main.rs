//! Starting, finding, pausing and stopping programs. The programs are shells and `sleep`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

mod records;

use local_runtime::free_ports;
use local_runtime::process::{ProcessState, Processes, Program, StopOutcome};
use local_runtime::process_tree::{Activity, ProcessIdentity, Signal};
use local_runtime::state_dir::StateDir;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);

/// A temporary state directory, whose programs end with the test.
fn temporary() -> (Processes, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        Processes::kill_on_drop(&StateDir::at(folder.path()).unwrap()),
        folder,
    )
}

fn shell(name: &str, script: &str) -> Program {
    let mut program = Program::new(name, "sh");
    program.arguments = vec!["-c".into(), script.into()];
    program
}

/// Polls `seen` until it returns `wanted`.
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

fn state(processes: &Processes, name: &str) -> ProcessState {
    processes
        .state(&processes.record(name).unwrap().unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_program_outlives_its_starter_and_is_found_by_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = StateDir::at(folder.path()).unwrap();
    let started = Processes::detached(&state_dir)
        .start(&shell("one", "exec sleep 600"))
        .await
        .unwrap();

    let later = Processes::detached(&state_dir);
    assert_eq!(later.records().unwrap(), vec![started.clone()]);
    assert_eq!(later.state(&started).unwrap(), ProcessState::Running);
    assert_eq!(later.stop("one", LONG).await.unwrap(), StopOutcome::InTime);
    assert_eq!(
        later.state(&started).unwrap(),
        ProcessState::Ended(Some(128 + 15))
    );
    assert!(!started.supervisor.is_alive());
}

#[tokio::test]
async fn the_exit_code_and_the_last_log_line_of_an_ended_program_are_kept() {
    let (processes, folder) = temporary();
    // It ends after `start` has returned: a program that ends earlier is a failed start.
    let go = folder.path().join("go");
    let words = format!(
        "until [ -e {} ]; do sleep 0.05; done; echo no such database; exit 3",
        go.display()
    );
    processes.start(&shell("one", &words)).await.unwrap();
    std::fs::write(&go, "").unwrap();
    becomes(ProcessState::Ended(Some(3)), || state(&processes, "one")).await;
    assert_eq!(processes.last_log_line("one").unwrap(), "no such database");
}

#[tokio::test]
async fn a_program_that_runs_is_not_started_twice_and_its_starts_are_counted() {
    let (processes, _folder) = temporary();
    let sleeper = shell("one", "exec sleep 600");
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 1);
    let refused = processes.start(&sleeper).await.unwrap_err();
    assert_eq!(refused.to_string(), "one already runs");

    assert!(processes.kill("one").await.unwrap());
    assert_eq!(state(&processes, "one"), ProcessState::Ended(Some(128 + 9)));
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 2);
    assert!(
        processes.forget("one").is_err(),
        "a running program cannot be forgotten"
    );
    processes.kill("one").await.unwrap();
    processes.forget("one").unwrap();
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 1);
}

#[tokio::test]
async fn a_program_that_ignores_the_signal_is_killed_after_the_grace() {
    let (processes, _folder) = temporary();
    processes
        .start(&shell(
            "stubborn",
            "trap '' TERM; echo ready; while :; do sleep 1; done",
        ))
        .await
        .unwrap();
    becomes(Some("ready".to_owned()), || {
        processes.last_log_line("stubborn")
    })
    .await;
    assert_eq!(
        processes
            .stop("stubborn", Duration::from_millis(200))
            .await
            .unwrap(),
        StopOutcome::Killed
    );
    assert_eq!(
        state(&processes, "stubborn"),
        ProcessState::Ended(Some(128 + 9))
    );
}

#[tokio::test]
async fn pause_includes_children_and_a_paused_program_can_be_stopped() {
    let (processes, _folder) = temporary();
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
    becomes(ProcessState::Paused, || state(&processes, "parent")).await;

    assert!(processes.resume("parent").unwrap());
    for child in &family {
        becomes(Some(Activity::Running), || child.activity().unwrap()).await;
    }

    processes.pause("parent").unwrap();
    assert_eq!(
        processes.stop("parent", LONG).await.unwrap(),
        StopOutcome::InTime
    );
    assert!(
        family.iter().all(|child| !child.is_alive()),
        "a stopped program leaves no children behind"
    );
}

#[tokio::test]
async fn a_process_with_the_reused_id_of_a_program_is_never_signalled() {
    let (processes, folder) = temporary();
    let mut other = OtherProcess(Command::new("sleep").arg("600").spawn().unwrap());
    let id = i32::try_from(other.0.id()).unwrap();
    let real = ProcessIdentity::of(id).unwrap().unwrap();

    // The record of a program that has ended. The other process has the same id, but another start
    // time or boot.
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
        record.process = ProcessIdentity {
            pid: id,
            started,
            boot,
        };
        assert!(!record.process.signal(Signal::KILL).unwrap());
        let path = folder.path().join("run/gone.json");
        std::fs::write(path, serde_json::to_string(&record).unwrap()).unwrap();

        assert_eq!(
            processes.stop("gone", LONG).await.unwrap(),
            StopOutcome::NotRunning
        );
        assert!(!processes.kill("gone").await.unwrap());
        assert!(!processes.pause("gone").unwrap());
        assert_eq!(real.activity().unwrap(), Some(Activity::Running));
    }
    assert!(
        other.0.try_wait().unwrap().is_none(),
        "the other process still runs"
    );
    assert!(
        real.signal(Signal::KILL).unwrap(),
        "the right process gets the signal"
    );
    other.0.wait().unwrap();
}

/// Killed at the end of the test, also of a failing one.
struct OtherProcess(Child);

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ended = self.0.kill();
    }
}

#[tokio::test]
async fn a_temporary_state_dir_is_removed_with_its_programs() {
    let (processes, folder) = temporary();
    let record = processes
        .start(&shell("one", "exec sleep 600"))
        .await
        .unwrap();
    drop(processes);
    becomes(false, || {
        record.process.is_alive() || folder.path().exists()
    })
    .await;
}

#[tokio::test]
async fn the_error_of_a_failed_start_names_the_reason() {
    let (processes, _folder) = temporary();
    let missing = processes
        .start(&Program::new("one", "no-such-program"))
        .await
        .unwrap_err();
    assert_eq!(missing.to_string(), "no-such-program is not installed");
    let elsewhere = processes
        .start(&Program::new("one", "/no/such/program"))
        .await
        .unwrap_err();
    assert_eq!(elsewhere.to_string(), "/no/such/program does not exist");
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
    let error = free_ports::require_free("Kafka", local, port, "KAFKA_PORT")
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
    free_ports::require_free("Kafka", local, port, "KAFKA_PORT").unwrap();
    assert_eq!(free_ports::holder(port).unwrap(), None);
}

#[test]
fn free_ports_differ() {
    let [a, b, c] = free_ports::free().unwrap();
    assert!(a != b && b != c && a != c);
}

#[test]
fn one_command_at_a_time_has_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = StateDir::at(folder.path()).unwrap();
    let first = state_dir.try_lock().unwrap();
    assert!(first.is_some());
    assert!(state_dir.try_lock().unwrap().is_none());
    drop(first);
    assert!(state_dir.try_lock().unwrap().is_some());
}
