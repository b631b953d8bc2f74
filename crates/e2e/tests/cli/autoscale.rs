//! `sandbox autoscale`: what it refuses, and a service that follows its lag from 0 and back.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{Rig, until};

const MANIFEST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../kubernetes/keda/inventory-scaledobject.yaml"
);

#[test]
fn wrong_settings_are_refused_in_one_line_and_nothing_is_scaled() {
    let rig = Rig::shared();
    let wrong = rig.home().join("wrong.yaml");
    let text = fs::read_to_string(MANIFEST).unwrap();
    fs::write(&wrong, text.replace("type: kafka", "type: rabbitmq")).unwrap();
    let wrong = wrong.to_str().unwrap();
    for (options, named) in [
        (&[][..], "SERVICE"),
        (&["shop"], "inventory-service"),
        (
            &[
                "inventory-service",
                "--min-replicas",
                "5",
                "--max-replicas",
                "2",
            ],
            "fewest replicas (5)",
        ),
        (&["inventory-service", "--lag-threshold", "0"], "1 to"),
        (&["inventory-service", "--polling-interval", "0s"], "1s"),
        (
            &["inventory-service", "--limit-to-partitions-with-lag"],
            "needs a topic",
        ),
        (&["--from", "/none.yaml"], "/none.yaml"),
        (
            &["--from", wrong],
            "trigger type is rabbitmq: must be kafka",
        ),
        (
            &["payment-service", "--from", MANIFEST],
            "the file scales inventory-service",
        ),
    ] {
        let ran = rig.run(&[&["autoscale"], options].concat());
        assert_eq!(ran.code, 2, "{options:?}: {ran:?}");
        assert!(ran.errors.contains(named), "{options:?}: {ran:?}");
        assert_eq!(ran.errors.lines().count(), 1, "{options:?}: {ran:?}");
    }
    rig.good(&[
        "restart",
        "inventory-service",
        "--set",
        "STATIC_MEMBERSHIP=true",
    ]);
    let ran = rig.run(&["autoscale", "inventory-service"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.errors.contains("STATIC_MEMBERSHIP"), "{ran:?}");
    rig.good(&[
        "restart",
        "inventory-service",
        "--unset",
        "STATIC_MEMBERSHIP",
    ]);
    assert!(rig.pid("inventory-service.1").is_some() && rig.pid("inventory-service.2").is_none());
}

#[test]
fn a_service_follows_its_lag_from_zero_to_its_partitions_and_back() {
    let rig = Rig::shared();
    // Each partition has a committed offset.
    rig.good(&["load", "burst", "--count", "60"]);
    rig.good(&["wait", "lag", "--caught-up", "--within", "60s"]);
    rig.good(&["scale", "inventory-service=0"]);
    assert_eq!(rig.status()["scaledToZero"][0], "inventory-service");
    rig.good(&["consumer", "slow", "inventory-service", "--time-ms", "200"]);
    rig.good(&["load", "burst", "--count", "60"]);
    rig.good(&[
        "wait",
        "lag",
        "--group",
        "inventory-service-group",
        "--above",
        "49",
    ]);

    let dry = rig.home().join("decisions.txt");
    let options = [
        "autoscale",
        "--from",
        MANIFEST,
        "--polling-interval",
        "1s",
        "--cooldown-period",
        "3s",
    ];
    let mut command = rig.command(&options);
    command
        .stdout(fs::File::create(&dry).unwrap())
        .stderr(Stdio::null());
    let mut running = command.spawn().unwrap();
    let said = || fs::read_to_string(&dry).unwrap();
    until("three instances run", || {
        let alive = rig.alive();
        let wanted = alive.contains(&"inventory-service.3".to_owned());
        wanted.then_some(()).ok_or_else(said)
    });
    rig.good(&[
        "wait",
        "lag",
        "--group",
        "inventory-service-group",
        "--caught-up",
        "--within",
        "120s",
    ]);
    until("no instance runs", || {
        let alive = rig.alive();
        let some = alive
            .iter()
            .any(|name| name.starts_with("inventory-service"));
        (!some).then_some(()).ok_or_else(said)
    });
    until("the group has no member on purpose", || {
        let lag = rig.good(&["lag", "--group", "inventory-service-group", "--json"]);
        lag.contains("scaled to 0 on purpose")
            .then_some(())
            .ok_or(lag)
    });
    kill(Pid::from_raw(running.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0), "{}", said());
    for part in [
        "capped at 3 partitions → 3 (was 0): up",
        "cooldown passed → 0 (was 3): down",
    ] {
        assert!(said().contains(part), "{part}: {}", said());
    }
    rig.good(&["consumer", "clear", "inventory-service"]);
    rig.good(&["scale", "inventory-service=1"]);
    assert_eq!(rig.status()["scaledToZero"].as_array().unwrap().len(), 0);
    rig.good(&["expect", "lag", "--caught-up"]);
}
