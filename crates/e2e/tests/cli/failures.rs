//! `sandbox kill`, `pause` and `continue`.

use crate::rig::{Rig, children, kernel_state, until};

#[test]
fn what_is_killed_stays_dead_until_it_is_asked_for() {
    let rig = Rig::shared();
    rig.good(&["kill", "-9", "payment-service.1"]);
    let dead = rig.process("payment-service.1").unwrap();
    assert_eq!(
        (&dead["state"], &dead["ending"]),
        (&"ended".into(), &"killed by SIGKILL".into()),
        "{dead}"
    );
    // The last log line of the process, which begins with a time stamp, and not the message of the shell.
    assert!(
        dead["lastLogLine"].as_str().unwrap().starts_with("20"),
        "{dead}"
    );

    rig.good(&["up", "--no-build", "order-service"]);
    rig.good(&["scale", "payment-service=1"]);
    assert_eq!(rig.pid("payment-service.1"), None);

    rig.good(&["up", "--no-build", "payment-service"]);
    let alive = rig.is("payment-service.1", "ready");
    assert_eq!(alive["starts"], dead["starts"].as_u64().unwrap() + 1);
}

#[test]
fn an_order_that_waits_too_long_is_counted_by_status_and_listed_by_orders() {
    let rig = Rig::shared();
    rig.good(&["kill", "payment-service"]);
    let order = rig.good(&["order"]);
    let id = order.trim();
    let listed = || rig.good(&["orders", "--stuck", "-n", "10000"]);
    assert!(!listed().contains(id));
    // As if it had been placed two minutes ago.
    let older = format!(
        "UPDATE orders SET created_at = created_at - interval '2 minutes' WHERE order_id = '{id}' AND created_at IS NOT NULL"
    );
    until("the order has its first fact", || {
        match rig.good(&["psql", "orders_db", "-c", &older]).trim() {
            "UPDATE 1" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    let stuck = listed();
    let line = stuck.lines().find(|line| line.contains(id)).unwrap();
    assert!(
        line.contains("PENDING  PaymentSucceeded or PaymentFailed"),
        "{stuck}"
    );
    let counted = &rig.status()["stuckOrders"];
    let waiting = &counted["waitingFor"]["PaymentSucceeded or PaymentFailed"];
    assert!(waiting.as_u64() >= Some(1), "{counted}");
    let shown = rig.good(&["status"]);
    assert!(
        shown.contains("for PaymentSucceeded or PaymentFailed"),
        "{shown}"
    );

    rig.good(&["up", "--no-build", "payment-service"]);
    until("the order has ended", || match listed().contains(id) {
        false => Ok(()),
        true => Err(rig.good(&["order", id])),
    });
}

#[test]
fn a_service_asked_to_end_drains_and_says_goodbye() {
    let rig = Rig::shared();
    rig.good(&["kill", "inventory-service"]);
    let ended = rig.process("inventory-service.1").unwrap();
    assert_eq!(ended["ending"], "ended with exit code 0", "{ended}");
}

#[test]
fn a_dead_broker_stays_dead_while_services_come_and_go() {
    let rig = Rig::shared();
    rig.good(&["kill", "-9", "kafka"]);
    let ran = rig.run(&["restart", "payment-service"]);
    assert_eq!(ran.code, 0, "{}", ran.errors);
    assert!(ran.errors.contains("./sandbox up kafka"), "{}", ran.errors);
    assert_eq!(rig.pid("kafka"), None);
    let row = rig.is("payment-service.1", "not_ready");
    assert!(row["reason"].as_str().unwrap().contains("kafka"), "{row}");
    assert_eq!(rig.run(&["doctor"]).code, 1);

    rig.good(&["up", "kafka"]);
    // Without a restart.
    assert_eq!(rig.is("payment-service.1", "ready")["pid"], row["pid"]);
}

#[test]
fn pause_freezes_a_process_with_all_its_children_and_continue_lets_them_go_on() {
    let rig = Rig::shared();
    let pid = rig.pid("postgres").unwrap();
    rig.good(&["pause", "postgres"]);
    let family: Vec<i64> = std::iter::once(pid).chain(children(pid)).collect();
    assert!(family.len() > 3, "PostgreSQL has children: {family:?}");
    for pid in &family {
        until("every process is stopped", || match kernel_state(*pid) {
            Some('T') | None => Ok(()),
            other => Err(format!("process {pid} is {other:?}")),
        });
    }
    assert_eq!(rig.process("postgres").unwrap()["state"], "paused");

    rig.good(&["continue", "postgres"]);
    assert_eq!(rig.process("postgres").unwrap()["state"], "running");
    assert_eq!(
        rig.good(&["psql", "orders_db", "-tAc", "SELECT 1"]).trim(),
        "1"
    );
}
