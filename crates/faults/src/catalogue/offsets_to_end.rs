//! The offsets of inventory-service were reset to the end.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "offsets-to-end",
    summary: "the offsets of inventory-service were reset to the end",
    mechanism: "inventory-service was stopped, 200 orders were paid, and the committed offsets of its group were set to the end of payments. It never reads what lies between.",
    customer: "Some paid orders stay PAID for ever. New orders are confirmed.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Orders that wait too long"),
        command: "audit",
        log: None,
    },
    repair: "Set the offsets back while the group has no members. Records that are read twice change nothing.",
    remains: None,
    scenario: "retention-loss",
    modes: Modes::Both,
    cause: &[
        "kill inventory-service",
        "load burst --count 200",
        "wait lag --group payment-service-group --caught-up",
        "fault apply offsets-to-end",
        "up inventory-service --no-build",
    ],
    undo: &[
        "-kill inventory-service",
        "fault revert offsets-to-end",
        "up inventory-service --no-build",
    ],
    check: Check::Probe(Probe::OffsetsSaved),
    hold: None,
    change: Some(Change::OffsetsToEnd),
};
