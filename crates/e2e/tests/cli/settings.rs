//! `sandbox restart --set`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::rig::{Rig, until};

const SERVICE: &str = "payment-service";
const INSTANCE: &str = "payment-service.1";

/// The environment that the process was started with.
fn environment(rig: &Rig) -> BTreeSet<String> {
    let pid = rig.pid(INSTANCE).unwrap();
    let variables = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    variables
        .split_terminator('\0')
        .map(str::to_owned)
        .collect()
}

fn changed(rig: &Rig) -> Value {
    rig.status()["settings"].clone()
}

#[test]
fn a_setting_is_kept_over_restarts_until_it_is_unset() {
    let rig = Rig::shared();
    rig.good(&[
        "restart",
        SERVICE,
        "--set",
        "BATCH_MAX=7",
        "--set",
        "KAFKA_CONSUMER_FETCH_MIN_BYTES=100",
    ]);
    rig.good(&["kill", "-9", SERVICE]);
    rig.good(&["up", "--no-build", SERVICE]);
    let now = environment(&rig);
    assert!(
        now.contains("BATCH_MAX=7") && now.contains("KAFKA_CONSUMER_FETCH_MIN_BYTES=100"),
        "{now:?}"
    );
    assert_eq!(
        changed(&rig),
        json!([
            {"service": SERVICE, "name": "BATCH_MAX", "value": "7"},
            {"service": SERVICE, "name": "KAFKA_CONSUMER_FETCH_MIN_BYTES", "value": "100"},
        ])
    );

    rig.good(&[
        "restart",
        SERVICE,
        "--unset",
        "BATCH_MAX",
        "--unset",
        "KAFKA_CONSUMER_FETCH_MIN_BYTES",
    ]);
    assert!(
        !environment(&rig)
            .iter()
            .any(|one| one.starts_with("BATCH_MAX"))
    );
    assert_eq!(changed(&rig), json!([]));
}

#[test]
fn a_value_that_cannot_be_changes_nothing() {
    let rig = Rig::shared();
    let before = rig.pid(INSTANCE);
    for wrong in [
        "BATCH_MAX=0",
        "DELIVERY=perhaps",
        "PROTECTION_OFF=outbox",
        "KAFKA_CONSUMER_SECURITY_PROTOCOL=ssl",
    ] {
        let ran = rig.run(&["restart", SERVICE, "--set", wrong]);
        assert_eq!(ran.code, 2, "{wrong}: {}", ran.errors);
    }
    assert_eq!(rig.pid(INSTANCE), before);
    assert_eq!(changed(&rig), json!([]));
}

#[test]
fn a_service_sees_nothing_of_the_shell_it_is_started_from() {
    let rig = Rig::shared();
    let restarted = rig
        .command(&["restart", SERVICE])
        .env("BATCH_MAX", "9")
        .env("SECRET", "1")
        .output()
        .unwrap();
    assert!(restarted.status.success());
    let now = environment(&rig);
    assert!(
        !now.contains("BATCH_MAX=9") && !now.contains("SECRET=1"),
        "{now:?}"
    );
    assert!(now.contains("SLOT=1"), "{now:?}");
}

#[test]
fn without_waiting_a_service_is_started_that_never_is_ready_and_it_is_told_why_not() {
    let rig = Rig::shared();
    let wrong = "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1";
    rig.good(&["restart", SERVICE, "--no-wait", "--set", wrong]);
    let not = ["wait", "ready", SERVICE, "--not", "--within", "10s"];
    rig.good(&not);
    let why = "localhost is the container";
    until("its readiness explains a refused loopback address", || {
        let seen = rig.good(&not);
        if seen.contains(why) {
            Ok(())
        } else {
            Err(seen)
        }
    });
    let doctor = rig.run(&["doctor"]).output;
    assert!(doctor.contains(why), "{doctor}");
    let status = rig.good(&["status"]);
    assert!(status.contains(why), "{status}");
    rig.good(&["restart", SERVICE, "--unset", "KAFKA_BOOTSTRAP_SERVERS"]);
}

#[test]
fn a_wrong_broker_address_is_explained_and_ctrl_c_ends_the_wait_but_nothing_that_ran_before() {
    let rig = Rig::shared();
    let others: Vec<_> = ["kafka", "postgres", "order-service.1"]
        .map(|name| rig.pid(name))
        .into();
    let wrong = "KAFKA_BOOTSTRAP_SERVERS=kafka:29092";
    let mut restart = rig.start(&["restart", SERVICE, "--set", wrong]);
    until("the service says that it reaches no broker", || {
        match rig.process(INSTANCE) {
            Some(row) if row["readiness"] == "not_ready" => Ok(()),
            row => Err(format!("{row:?}")),
        }
    });
    let doctor = rig.run(&["doctor"]).output;
    let line = doctor
        .lines()
        .find(|line| line.contains("inside Docker's network only"))
        .unwrap_or_default();
    assert!(
        line.contains(&format!("127.0.0.1:{}", rig.port("KAFKA_PORT"))),
        "{doctor}"
    );

    restart.interrupt();
    assert_eq!(restart.ended(), Some(1));
    assert_eq!(rig.pid(INSTANCE), None);
    let still: Vec<_> = ["kafka", "postgres", "order-service.1"]
        .map(|name| rig.pid(name))
        .into();
    assert_eq!(still, others);
    rig.good(&["restart", SERVICE, "--unset", "KAFKA_BOOTSTRAP_SERVERS"]);
}
