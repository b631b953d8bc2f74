//! `sandbox break`, `repair` and `mystery`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::rig::{Ran, Rig, until};

/// Whether the check of the fault finds it.
fn is_there(rig: &Rig, fault: &str, check: &[&str]) -> bool {
    let ran = rig.run(check);
    assert!(ran.code < 2, "{fault}: {}", ran.errors);
    ran.code == 0
}

fn broken(rig: &Rig) -> Vec<String> {
    let status = rig.status();
    let faults = status["broken"].as_array().unwrap().iter();
    faults
        .map(|fault| fault["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn faults_are_there_after_break_and_gone_after_repair() {
    let rig = Rig::shared();
    rig.good(&["order", "--wait"]);
    let probe = |fault| vec!["fault", "probe", fault];
    let checks = [
        (
            "slow-consumer",
            vec![
                "expect",
                "controls",
                "inventory-service",
                "--processing-time-ms",
                "2000",
                "--within",
                "0s",
            ],
        ),
        ("stock-locked", probe("stock-locked")),
        ("outbox-blocked", probe("outbox-blocked")),
        ("open-transaction", probe("open-transaction")),
        (
            "rebalance-storm",
            vec!["fault", "running", "rebalance-storm"],
        ),
        ("database-frozen", probe("database-frozen")),
        ("broker-frozen", probe("broker-frozen")),
    ];
    for (fault, check) in &checks {
        assert!(!is_there(&rig, fault, check), "{fault} before");
        rig.good(&["break", fault]);
        assert!(is_there(&rig, fault, check), "{fault} is broken");
        // One by one, since a frozen broker or database keeps the next check from an answer.
        assert_eq!(broken(&rig), [*fault]);
        rig.good(&["repair", fault]);
        assert!(!is_there(&rig, fault, check), "{fault} after");
    }
    assert_eq!(broken(&rig), [""; 0]);
    rig.good(&["order", "--wait"]);
}

#[test]
fn repair_undoes_everything_after_the_command_was_killed() {
    let rig = Rig::shared();
    let breaking = rig.start(&["break", "broker-frozen", "--for", "1h"]);
    until("the fault is recorded and caused", || {
        match is_there(&rig, "broker-frozen", &["fault", "probe", "broker-frozen"]) {
            true => Ok(()),
            false => Err("the broker answers".to_owned()),
        }
    });
    // SIGKILL.
    drop(breaking);
    rig.good(&["repair"]);
    assert_eq!(broken(&rig), [""; 0]);
    rig.good(&["order", "--wait"]);
}

#[test]
fn a_refused_command_changes_nothing() {
    let rig = Rig::shared();
    let refuses = |arguments: &[&str], named: &str| {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.errors);
        assert!(ran.errors.contains(named), "{}", ran.errors);
        assert_eq!(ran.errors.trim_end().lines().count(), 1, "{}", ran.errors);
    };
    let file = rig.home().join("broken-faults.json");
    refuses(&["repair"], "nothing is broken");
    refuses(&["break", "no-such-fault"], "no-such-fault");
    refuses(&["repair", "no-such-fault"], "no-such-fault");
    refuses(&["repair", "slow-consumer"], "not broken");
    refuses(&["break", "slow-consumer", "--for", "0s"], "--for");
    refuses(&["break", "--for", "10s"], "FAULT");
    assert!(!file.exists());

    rig.good(&["break", "paused-consumer"]);
    let before = fs::read_to_string(&file).unwrap();
    refuses(&["break", "paused-consumer"], "caused already");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let parsed: Value = serde_json::from_str(&before).unwrap();
    assert_eq!(parsed["version"], 1);

    // A file of another version: what is broken is not known, so nothing is guessed.
    fs::write(&file, "{\"version\":9,\"faults\":[]}").unwrap();
    let ran = rig.run(&["repair"]);
    assert_eq!(ran.code, 1, "{}", ran.errors);
    assert!(ran.errors.contains("version 9"), "{}", ran.errors);
    fs::write(&file, before).unwrap();
    rig.good(&["repair"]);
    assert!(!file.exists());
}

/// The names and contents of the files in which a player could meet the name of a fault.
fn records(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        text += path.to_str().unwrap();
        if path.is_file() {
            text += &String::from_utf8_lossy(&fs::read(&path).unwrap());
        } else if ["run", "logs"]
            .map(|part| path.ends_with(part))
            .contains(&true)
        {
            text += &records(&path);
        }
    }
    text
}

#[test]
fn a_mystery_is_solved_by_the_state_and_names_its_fault_nowhere_before() {
    let rig = Rig::shared();
    rig.good(&["order", "--wait"]);
    let refused = |ran: &Ran| {
        assert_eq!(ran.code, 2, "{}{}", ran.output, ran.errors);
        assert_eq!(ran.errors.trim_end().lines().count(), 1, "{}", ran.errors);
        assert!(!ran.errors.contains("stock-locked"), "{}", ran.errors);
    };
    for none_runs in ["hint", "check", "give-up", "no-such-mystery"] {
        refused(&rig.run(&["mystery", none_runs]));
    }
    let begun = rig.good(&["mystery", "wet-umbrella"]);
    assert!(!begun.contains("stock-locked"), "{begun}");

    let process = "background-wet-umbrella";
    let pid = rig.recorded(process).unwrap();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let seen = records(rig.home());
    let status = rig.status().to_string();
    for text in [&command, &seen, &status] {
        assert!(!text.contains("stock-locked"), "{text}");
    }
    assert!(seen.contains(process), "{seen}");
    assert!(!status.contains("wet-umbrella"), "{status}");

    for arguments in [
        &["mystery"][..],
        &["mystery", "tea-break"],
        &["break", "stock-locked"],
        &["repair", "slow-consumer"],
        &["repair"],
    ] {
        let ran = rig.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.errors);
        assert!(ran.errors.contains("wet-umbrella"), "{}", ran.errors);
        assert_eq!(ran.errors.trim_end().lines().count(), 1, "{}", ran.errors);
    }
    assert_eq!(rig.good(&["mystery", "hint"]).lines().count(), 1);
    let early = rig.run(&["mystery", "check"]);
    assert_eq!(early.code, 1, "{}", early.errors);
    assert!(early.errors.contains("not solved"), "{}", early.errors);

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stock-count'";
    rig.good(&["psql", "inventory_db", "-c", end]);
    let solved = rig.good(&["mystery", "check"]);
    for part in ["solved", "1 of 3", "stock-locked", "silent-stall"] {
        assert!(solved.contains(part), "{part}: {solved}");
    }
    assert_eq!(rig.recorded(process), None);
    assert_eq!(rig.run(&["mystery", "check"]).code, 2);

    rig.good(&["mystery", "old-map"]);
    let given_up = rig.good(&["mystery", "give-up"]);
    assert!(given_up.contains("wrong-bootstrap"), "{given_up}");
    assert_eq!(broken(&rig), [""; 0]);
    rig.good(&["order", "--wait"]);
}
