//! Two processes of payment-service run with the same slot.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;

pub(super) const FAULT: Fault = Fault {
    name: "two-processes-one-slot",
    summary: "two processes of payment-service run with the same slot",
    mechanism: "A second process of payment-service has SLOT=1, too, so both have the same transactional id. Whoever begins a transaction fences the other one.",
    customer: "Orders end late, again and again.",
    shows: Shows {
        panel: ("Kafka clients", "Batches retried"),
        command: "status",
        log: None,
    },
    repair: "End one of the two processes.",
    remains: None,
    scenario: "zombie",
    modes: Modes::Both,
    cause: &["fault start two-processes-one-slot"],
    undo: &["fault stop two-processes-one-slot"],
    check: Check::Command("fault running two-processes-one-slot"),
    hold: Some(Hold::SecondProcess),
    change: None,
};
