//! Payment-service reads no records.

use crate::fault::{Check, Fault, Modes, Shows};

pub(super) const FAULT: Fault = Fault {
    name: "paused-consumer",
    summary: "payment-service reads no records",
    mechanism: "Every member of payment-service has paused its partitions. It stays in its group and keeps them.",
    customer: "Orders are accepted, and stay PENDING.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Paused members"),
        command: "status",
        log: Some(("settings of the group", "payment-service")),
    },
    repair: "Resume the members.",
    remains: None,
    scenario: "backpressure",
    modes: Modes::Both,
    cause: &["consumer pause payment-service"],
    undo: &["consumer resume payment-service"],
    check: Check::Command("expect controls payment-service --paused true --within 0s"),
    hold: None,
    change: None,
};
