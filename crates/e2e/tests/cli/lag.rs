//! `sandbox lag` and `sandbox rate`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::rig::{Rig, until};

const GROUPS: [&str; 3] = [
    "inventory-service-group",
    "order-service-group",
    "payment-service-group",
];

fn lag(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    let output = rig.good(&[&["lag", "--json"], arguments].concat());
    let output: Value = serde_json::from_str(&output).unwrap();
    output["groups"].as_array().unwrap().clone()
}

#[test]
fn lag_tells_of_every_group_who_owns_what_and_how_it_does() {
    let rig = Rig::shared();
    // An earlier test may have left a rebalance behind.
    let output = until("every partition of every group has an owner", || {
        let output = lag(&rig, &[]);
        let stable = output.iter().all(|group| {
            let mut rows = group["partitions"].as_array().unwrap().iter();
            group["state"] == "Stable" && rows.all(|row| row["owner"].is_string())
        });
        match stable {
            true => Ok(output),
            false => Err(format!("{output:?}")),
        }
    });
    let names: Vec<&str> = output
        .iter()
        .map(|one| one["group"].as_str().unwrap())
        .collect();
    assert_eq!(names, GROUPS);
    for group in &output {
        assert!(!group["rule"].as_str().unwrap().is_empty(), "{group}");
        for partition in group["partitions"].as_array().unwrap() {
            let owner = partition["owner"].as_str().unwrap();
            assert!(
                owner.contains("-service-") && owner.contains('@'),
                "{partition}"
            );
        }
    }
    let read_by = lag(&rig, &["--topic", "payments"]);
    assert_eq!(read_by.len(), 2, "{read_by:?}");
    for group in read_by {
        let partitions = group["partitions"].as_array().unwrap();
        assert!(
            partitions.iter().all(|one| one["topic"] == "payments"),
            "{group}"
        );
    }
}

#[test]
fn what_a_paused_group_leaves_is_its_lag_until_it_goes_on() {
    let rig = Rig::shared();
    let group = ["--group", GROUPS[0]];
    // Without a committed offset there is no lag.
    until("the group has committed on every partition", || {
        rig.good(&["order", "--product", "prod_burst"]);
        let output = lag(&rig, &group);
        let partitions = output[0]["partitions"].as_array().unwrap();
        match partitions.iter().all(|one| one["lag"].is_i64()) {
            true => Ok(()),
            false => Err(format!("{output:?}")),
        }
    });
    rig.good(&["wait", "lag", "--caught-up", "--within", "60s"]);
    rig.good(&["consumer", "pause", "inventory-service"]);
    for _ in 0..3 {
        rig.good(&["order", "--product", "prod_burst"]);
    }
    rig.good(
        &[
            &["wait", "lag", "--above", "2", "--within", "60s"],
            &group[..],
        ]
        .concat(),
    );
    let output = lag(&rig, &group);
    assert_eq!(output[0]["totalLag"], 3, "{output:?}");
    let oldest = output[0]["oldestUnreadSeconds"].as_f64();
    assert!(oldest.unwrap() >= 0.0, "{output:?}");
    rig.good(&["consumer", "resume", "inventory-service"]);
    rig.good(&["wait", "lag", "--caught-up", "--within", "60s"]);
    assert_eq!(lag(&rig, &group)[0]["totalLag"], 0);
}

#[test]
fn a_group_or_topic_that_is_not_there_is_answered_with_those_there_are() {
    let rig = Rig::shared();
    let wait = [
        "wait",
        "lag",
        "--group",
        "nobody",
        "--caught-up",
        "--within",
        "20s",
    ];
    for wrong in [
        &["lag", "--group", "nobody"][..],
        &["lag", "--watch", "--group", "nobody"],
        &wait,
    ] {
        let ran = rig.run(wrong);
        assert_eq!(ran.code, 1, "{wrong:?}: {}", ran.errors);
        assert_eq!(ran.errors.lines().count(), 1, "{wrong:?}: {}", ran.errors);
        assert!(
            GROUPS.iter().all(|name| ran.errors.contains(name)),
            "{}",
            ran.errors
        );
    }
    let ran = rig.run(&["lag", "--topic", "nothing"]);
    assert_eq!(ran.code, 1, "{}", ran.errors);
    assert!(ran.errors.contains("payments"), "{}", ran.errors);
}

#[test]
fn one_reading_has_the_rates_and_the_health_of_lag_monitor() {
    let rig = Rig::shared();
    rig.good(&["order", "--product", "prod_burst"]);
    until("lag-monitor knows the rates of each group", || {
        let output: Value = serde_json::from_str(&rig.good(&["lag", "--json"])).unwrap();
        let mut groups = output["groups"].as_array().unwrap().iter();
        let has_rates = groups.all(|group| group["rates"]["produced"].is_number());
        match has_rates && output["monitorTakenAt"].is_string() && output["monitorError"].is_null()
        {
            true => Ok(()),
            false => Err(output.to_string()),
        }
    });
    let ran = rig.run(&["lag"]);
    assert!(ran.errors.contains("rates and health as of"), "{ran:?}");
}

#[test]
fn watching_waits_for_a_broker_that_does_not_run_yet() {
    let rig = Rig::new();
    let mut command = rig.command(&["lag", "--watch", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let failures: Vec<String> = lines.map(Result::unwrap).take(2).collect();
    assert!(watching.try_wait().unwrap().is_none(), "{failures:?}");
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(failures.len(), 2);
    for failure in failures {
        let failure: Value = serde_json::from_str(&failure).unwrap();
        assert!(failure["error"].is_string(), "{failure}");
    }
}

#[test]
fn watching_without_a_terminal_prints_one_block_a_reading() {
    let rig = Rig::shared();
    let mut command = rig.command(&["lag", "--watch", "--group", GROUPS[1]]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let headlines = lines
        .map(Result::unwrap)
        .filter(|line| line.contains("-group: "));
    let blocks: Vec<String> = headlines.take(3).collect();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    assert!(
        blocks.iter().all(|line| !line.contains('\x1b')),
        "{blocks:?}"
    );
}
