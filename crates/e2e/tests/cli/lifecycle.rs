//! `sandbox up`, `scale`, `reset` and `down`.

use std::net::TcpListener;

use crate::rig::{Rig, kernel_state, until};
use crate::start_failures::of_a_person;

const ALL: [&str; 7] = [
    "kafka",
    "postgres",
    "order-service.1",
    "payment-service.1",
    "inventory-service.1",
    "load-generator.1",
    "lag-monitor.1",
];

#[test]
fn up_a_second_time_says_what_runs_and_starts_only_what_does_not() {
    let rig = Rig::shared();
    let before = ALL.map(|name| rig.pid(name).unwrap());
    rig.good(&["kill", "-9", "payment-service"]);

    let ran = rig.run(&["up", "--no-build"]);
    assert_eq!(ran.code, 0, "{}", ran.errors);
    let line = |what: &str| {
        ran.errors
            .lines()
            .find(|line| line.starts_with(what))
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(line("started:"), "started: payment-service.1");
    assert_eq!(
        line("already running:"),
        "already running: kafka, postgres, order-service.1, inventory-service.1, load-generator.1, lag-monitor.1"
    );

    for (name, pid) in ALL.into_iter().zip(before) {
        let row = rig.is(name, "ready");
        assert_eq!(row["pid"] == pid, name != "payment-service.1", "{row}");
        assert!(
            ran.output.contains(row["address"].as_str().unwrap()) || name == "postgres",
            "{}",
            ran.output
        );
    }
}

#[test]
fn scaling_starts_instances_with_ports_of_their_own_and_stops_the_highest() {
    let rig = Rig::shared();
    let first = rig.pid("inventory-service.1");
    let ran = rig.run(&["scale", "inventory-service=3"]);
    assert_eq!(ran.code, 0, "{}", ran.errors);
    // Nothing is left to wait for.
    let members = ["wait", "members", "inventory-service", "--within", "0s"];
    rig.good(&[&members[..], &["--count", "3", "--idle", "0"]].concat());
    for slot in 1..=3 {
        let owns = format!("inventory-service.{slot} owns payments[");
        assert!(ran.errors.contains(&owns), "{}", ran.errors);
        let row = rig.is(&format!("inventory-service.{slot}"), "ready");
        let url = rig.good(&["url", &format!("inventory-service.{slot}")]);
        assert_eq!(row["address"], url.trim(), "{row}");
    }
    let ran = rig.run(&["scale", "inventory-service=4"]);
    assert!(
        ran.errors.contains("is idle: the group has 4 members"),
        "{}",
        ran.errors
    );
    rig.good(&["scale", "inventory-service=2"]);
    assert_eq!(rig.pid("inventory-service.1"), first);
    assert!(rig.pid("inventory-service.2").is_some());
    assert_eq!(rig.process("inventory-service.3"), None);
}

#[test]
fn reset_empties_everything_and_starts_what_ran() {
    let rig = Rig::shared();
    rig.good(&["scale", "inventory-service=2"]);
    rig.good(&["restart", "payment-service", "--set", "BATCH_MAX=7"]);
    rig.good(&["order", "--wait"]);
    let orders = || rig.good(&["psql", "orders_db", "-tAc", "SELECT count(*) FROM orders"]);
    assert_ne!(orders().trim(), "0");

    rig.good(&["topics", "grow", "payments", "--partitions", "4"]);
    let ran = of_a_person(&rig, &["reset"]);
    assert_eq!(ran.code, 0, "{}", ran.errors);
    assert!(
        !ran.errors.contains("differs"),
        "reset warns of what it repairs: {}",
        ran.errors
    );
    assert_eq!(orders().trim(), "0");
    let status = rig.status();
    for topic in status["kafka"]["topics"].as_array().unwrap() {
        let ends = topic["ends"].as_array().unwrap();
        assert!(
            !ends.is_empty() && ends.iter().all(|end| end == 0),
            "{topic}"
        );
    }
    assert_eq!(status["settings"], serde_json::json!([]));
    assert_eq!(
        rig.alive(),
        [
            "kafka",
            "postgres",
            "order-service.1",
            "payment-service.1",
            "inventory-service.1",
            "inventory-service.2",
            "load-generator.1",
            "lag-monitor.1"
        ]
    );
    // The groups are deleted too: a committed offset of the old topic would skip the first records of the new one.
    rig.good(&["order", "--wait"]);
}

#[test]
fn an_interrupted_up_leaves_nothing_running_and_neither_does_down() {
    let rig = Rig::new();
    let mut up = rig.start(&["up", "--no-build"]);
    // Reads process records instead of calling `status`, which would take as long as the rest of the start.
    let started = until("broker and services are being started", || {
        let (kafka, service) = (rig.recorded("kafka"), rig.recorded("order-service.1"));
        match (kafka, service) {
            (Some(kafka), Some(service)) => Ok([kafka, service]),
            other => Err(format!("{other:?}")),
        }
    });
    up.interrupt();
    assert_eq!(up.ended(), Some(1));
    assert_gone(&rig, &started);

    let log = || std::fs::read_to_string(rig.home().join("logs/postgres.log")).unwrap_or_default();
    let earlier = log().len();
    let ran = of_a_person(&rig, &["up", "--no-build"]);
    assert_eq!(ran.code, 0, "{}", ran.errors);
    let log = log().split_off(earlier);
    let fault = log
        .lines()
        .find(|line| line.contains("FATAL") || line.contains("ERROR"));
    assert_eq!(fault, None, "services start after their databases");
    let running = ALL.map(|name| rig.recorded(name).unwrap());
    rig.good(&["down", "--reset"]);
    assert!(
        !rig.home().exists(),
        "{} is still there",
        rig.home().display()
    );
    assert_gone(&rig, &running);
}

fn assert_gone(rig: &Rig, pids: &[i64]) {
    for pid in pids {
        let state = kernel_state(*pid);
        assert!(
            matches!(state, None | Some('Z')),
            "process {pid} lives: {state:?}"
        );
    }
    assert_eq!(rig.alive(), [""; 0]);
    for name in [
        "KAFKA_PORT",
        "POSTGRES_PORT",
        "ORDER_PORT",
        "PAYMENT_PORT",
        "LOAD_GENERATOR_PORT",
        "LAG_MONITOR_PORT",
    ] {
        TcpListener::bind(("127.0.0.1", rig.port(name))).unwrap();
    }
}

#[test]
fn the_logs_of_all_services_are_one_in_order_of_time() {
    let rig = Rig::shared();
    let logs = rig.good(&["logs"]);
    let mut names = std::collections::BTreeSet::new();
    let mut last = String::new();
    for line in logs.lines() {
        let (name, text) = line.split_once(' ').unwrap();
        names.insert(name);
        // All time stamps have the same length and zone, so text order is time order.
        let time = text.split_whitespace().next().unwrap().to_owned();
        if time.starts_with("20") {
            assert!(time >= last, "{line} comes after {last}");
            last = time;
        }
    }
    for name in [
        "order-service.1",
        "payment-service.1",
        "inventory-service.1",
        "lag-monitor.1",
    ] {
        assert!(names.contains(name), "{names:?}");
    }
    assert!(!names.contains("kafka"), "{names:?}");
    assert_eq!(
        rig.good(&["logs", "order-service", "--tail", "3"])
            .lines()
            .count(),
        3
    );
}

#[test]
fn kafka_and_psql_speak_to_the_broker_and_the_databases_of_the_stack() {
    let rig = Rig::shared();
    let groups = rig.good(&[
        "kafka",
        "kafka-consumer-groups.sh",
        // Its default time-out is 5 s, after which it prints nothing and exits with 0.
        "--timeout",
        "60000",
        "--describe",
        "--group",
        "inventory-service-group",
    ]);
    assert!(groups.contains("payments"), "{groups}");
    let query = "SELECT current_database(), current_user";
    let database = of_a_person(&rig, &["psql", "inventory_db", "-tAc", query]);
    assert_eq!(
        database.output.trim(),
        "inventory_db|inventory",
        "{}",
        database.errors
    );
    assert_ne!(
        rig.run(&["psql", "inventory_db", "-c", "SELECT nonsense"])
            .code,
        0
    );
}
