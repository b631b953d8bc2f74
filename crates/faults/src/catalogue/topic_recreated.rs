//! Payments was deleted and created again.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "topic-recreated",
    summary: "payments was deleted and created again",
    mechanism: "The topic payments is deleted with its records and the offsets committed for it, and created with the same settings.",
    customer: "Orders whose payment was not processed yet stay PENDING or PAID for ever.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Orders that wait too long"),
        command: "orders --stuck",
        log: None,
    },
    repair: "Restore the topic from a backup. The shop has none: ./sandbox reset begins again.",
    remains: Some("The records of the topic: ./sandbox reset begins again."),
    scenario: "retention-loss",
    modes: Modes::Both,
    cause: &["fault apply topic-recreated"],
    undo: &["fault revert topic-recreated"],
    check: Check::Probe(Probe::PaymentsMissing),
    hold: None,
    change: Some(Change::TopicRecreated),
};
