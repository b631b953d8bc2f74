//! `sandbox bench` with the smallest sizes: it ends, restores the settings, and prints every figure. The values are not asserted.

use serde_json::Value;

use crate::rig::Rig;

/// The figures of a benchmark by name; each must be a number.
fn figures(rig: &Rig, arguments: &[&str]) -> Vec<String> {
    let asked = [&["bench"], arguments, &["--runs=1", "--no-warm", "--json"]].concat();
    let output: Value = serde_json::from_str(&rig.good(&asked)).unwrap();
    let figures = output["figures"].as_array().unwrap().iter();
    figures
        .map(|figure| {
            assert!(figure["median"].is_f64(), "{figure}");
            figure["name"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn a_load_and_a_drain_are_measured_and_leave_everything_as_it_was() {
    let rig = Rig::shared();
    let alive = rig.alive();
    let load = figures(&rig, &["load", "--events=10000", "--seconds=1"]);
    for name in [
        "burst",
        "producer-perf-test as ./sandbox kafka runs it",
        "burst, compared with producer-perf-test with all of Java's compilers",
        "1000/s asked: came",
        "50000/s asked: off by",
    ] {
        assert!(load.iter().any(|known| known == name), "{name}: {load:?}");
    }
    assert!(!rig.good(&["topics", "list"]).contains("bench-"));

    // Fewer orders could be processed between two polls.
    let drain = ["--events=30000", "--single-events=1000"];
    let drain = figures(
        &rig,
        &[&["drain", "--delivery=at-least-once"], &drain[..]].concat(),
    );
    for name in [
        "batches of 500, 30000 events, at-least-once, 1 member: drained",
        "batches of 500, 30000 events, at-least-once, 3 members: a plain consumer takes",
        "each message, 1000 events, at-least-once, 3 members: drained",
    ] {
        assert!(drain.iter().any(|known| known == name), "{name}: {drain:?}");
    }
    assert_eq!(rig.alive(), alive);
    // order-service must have consumed everything before another test uses the stack.
    rig.good(&["wait", "lag", "--caught-up", "--within", "60s"]);
}
