//! Records that cannot be read, and what a program gets from its caller.

use crate::{becomes, shell, state, temporary};
use local_runtime::process::{ProcessRecord, ProcessState, Processes, StopSignal};
use local_runtime::supervised::{StackProcess, stack_process_of};
use std::fs;

#[tokio::test]
async fn a_record_that_cannot_be_read_is_made_again_from_the_running_process() {
    let (processes, folder) = temporary();
    let mut sleeper = shell("one", "exec sleep 600");
    sleeper.labels.insert("port".to_owned(), "3000".to_owned());
    sleeper.stop_signal = StopSignal::Interrupt;
    let started = processes.start(&sleeper).await.unwrap();
    let path = folder.path().join("run/one.json");
    let whole = fs::read_to_string(&path).unwrap();
    let other_name = whole.replacen("\"one\"", "\"two\"", 1);
    for damage in [
        "",
        &whole[..whole.len() / 2],
        "[]",
        "{\"name\":\"one\"}",
        &other_name,
        "\u{0}",
    ] {
        fs::write(&path, damage).unwrap();
        assert_found_again(&processes, &started);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("folder")).unwrap();
    assert_found_again(&processes, &started);

    // Without any record, only a command that changes the stack looks for the process.
    fs::remove_file(&path).unwrap();
    let repaired = processes.repair_records().unwrap();
    assert!(
        repaired[0].contains("one.json does not exist"),
        "{repaired:?}"
    );
    assert_eq!(processes.repair_records().unwrap(), [""; 0]);

    fs::write(&path, "").unwrap();
    assert!(processes.kill("one").await.unwrap());
    assert!(!started.process.is_alive());
    let repaired = processes.repair_records().unwrap();
    assert!(repaired[0].ends_with("one does not run"), "{repaired:?}");
    assert!(matches!(
        state(&processes, "one"),
        ProcessState::Ended(Some(_))
    ));
    assert_eq!(processes.start(&sleeper).await.unwrap().starts, 2);
}

#[tokio::test]
async fn a_process_whose_record_cannot_be_written_again_is_stopped_all_the_same() {
    let (processes, folder) = temporary();
    let started = processes
        .start(&shell("one", "exec sleep 600"))
        .await
        .unwrap();
    let run = folder.path().join("run");
    fs::write(run.join("one.json"), "").unwrap();
    std::os::unix::fs::symlink("/dev/full", run.join("one.json.new")).unwrap();
    let repaired = processes.repair_records().unwrap();
    assert!(repaired[0].contains("No space left"), "{repaired:?}");
    assert!(processes.kill("one").await.unwrap());
    assert!(!started.process.is_alive());
    processes.forget("one").unwrap();
    assert_eq!(processes.records().unwrap(), vec![]);
}

#[tokio::test]
async fn a_program_whose_record_cannot_be_written_is_ended_again() {
    let (processes, folder) = temporary();
    let new = folder.path().join("run/one.json.new");
    std::os::unix::fs::symlink("/dev/full", new).unwrap();
    let go = folder.path().join("go");
    let script = format!("echo $$ >'{}'; exec sleep 600", go.display());
    let error = processes.start(&shell("one", &script)).await.unwrap_err();
    assert!(format!("{error:#}").contains("No space left"), "{error:#}");
    assert_eq!(processes.records().unwrap(), vec![]);
    becomes(0, || processes.repair_records().unwrap().len()).await;
}

/// The record is made again, and a command that changes the stack writes it.
fn assert_found_again(processes: &Processes, started: &ProcessRecord) {
    let unreadable = processes.unreadable_records().unwrap();
    assert!(unreadable[0].contains("one.json"), "{unreadable:?}");
    let found = processes.records().unwrap();
    let found = found.first().unwrap();
    assert_eq!(
        (
            &found.process,
            &found.supervisor,
            &found.labels,
            found.stop_signal,
            found.starts
        ),
        (
            &started.process,
            &started.supervisor,
            &started.labels,
            started.stop_signal,
            started.starts
        )
    );
    assert!(found.started_at_ms.abs_diff(started.started_at_ms) < 60_000);
    assert!(processes.runs("one").unwrap());

    let repaired = processes.repair_records().unwrap();
    assert!(
        repaired[0].contains(&format!("one runs as process {}", started.process.pid)),
        "{repaired:?}"
    );
    assert_eq!(processes.unreadable_records().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_program_gets_no_variable_of_the_caller_and_its_own_process_is_known_by_its_stack() {
    let (processes, folder) = temporary();
    let go = folder.path().join("go");
    let script = format!("env; until [ -e '{}' ]; do sleep 0.05; done", go.display());
    let mut printer = shell("one", &script);
    printer.environment.push(("OWN".to_owned(), "1".into()));
    let record = processes.start(&printer).await.unwrap();
    let expected = StackProcess {
        home: folder.path().canonicalize().unwrap(),
        name: "one".to_owned(),
    };
    assert_eq!(stack_process_of(record.process.pid), Some(expected));
    let this = i32::try_from(std::process::id()).unwrap();
    assert_eq!(stack_process_of(this), None);
    fs::write(&go, "").unwrap();
    becomes(ProcessState::Ended(Some(0)), || state(&processes, "one")).await;
    let printed = fs::read_to_string(&record.log).unwrap();
    // Cargo sets variables for every test.
    assert!(std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("CARGO")));
    assert!(!printed.contains("CARGO"), "{printed}");
    for own in ["OWN=1\n", "LC_ALL=C.UTF-8\n", "TZ=UTC\n", "PATH="] {
        assert!(printed.contains(own), "{own}: {printed}");
    }
}
