//! Payment-service has a wrong address of the broker.

use crate::fault::{Check, Fault, Modes, Shows};

pub(super) const FAULT: Fault = Fault {
    name: "wrong-bootstrap",
    summary: "payment-service has a wrong address of the broker",
    mechanism: "payment-service runs with the bootstrap address localhost:1, where nothing listens.",
    customer: "Orders are accepted, and stay PENDING.",
    shows: Shows {
        panel: ("Services", "Programs that do not answer"),
        command: "status",
        log: Some(("librdkafka", "payment-service")),
    },
    repair: "Repair the setting.",
    remains: None,
    scenario: "connectivity",
    modes: Modes::Both,
    cause: &["restart payment-service --set KAFKA_BOOTSTRAP_SERVERS=localhost:1 --no-wait"],
    undo: &["restart payment-service --unset KAFKA_BOOTSTRAP_SERVERS"],
    check: Check::Command(
        "expect settings payment-service KAFKA_BOOTSTRAP_SERVERS=localhost:1 --within 0s",
    ),
    hold: None,
    change: None,
};
