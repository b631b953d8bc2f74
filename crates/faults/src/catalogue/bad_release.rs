//! A producer publishes records that no consumer can read.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "bad-release",
    summary: "a producer publishes records that no consumer can read",
    mechanism: "Seventy records in a form that no consumer knows are published to partition 0 of payments, as by a bad release of a producer. Each is poison. After fifty in a row a member halts, so that a bad release does not empty a topic into the dead-letter topic.",
    customer: "Paid orders are not confirmed any more.",
    shows: Shows {
        panel: ("Kafka clients", "Paused members"),
        command: "status",
        log: Some(("consumer halted until POST /resume", "inventory-service")),
    },
    repair: "Roll the producer back, then resume the members: they send the rest to the dead-letter topic and go on.",
    remains: None,
    scenario: "dead-letter",
    modes: Modes::Both,
    cause: &["fault apply bad-release"],
    undo: &[
        "consumer resume inventory-service",
        "consumer resume order-service",
    ],
    check: Check::Probe(Probe::MemberHalted),
    hold: None,
    change: Some(Change::BadRecords),
};
