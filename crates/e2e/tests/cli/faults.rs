//! `sandbox break` and `repair`.

use std::fs;

use serde_json::Value;

use crate::rig::{Rig, until};

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
