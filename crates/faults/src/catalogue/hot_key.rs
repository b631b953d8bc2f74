//! A load of orders whose keys all lead to one partition.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;

pub(super) const FAULT: Fault = Fault {
    name: "hot-key",
    summary: "a load of orders whose keys all lead to one partition",
    mechanism: "A second load-generator publishes 50 orders a second whose keys all hash to partition 0.",
    customer: "Orders on partition 0 wait longer than the others.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Lag of each partition"),
        command: "lag",
        log: None,
    },
    repair: "End the load, or choose keys that spread. More members do not help.",
    remains: Some("The orders that were produced stay in the topics."),
    scenario: "hot-partition",
    modes: Modes::Both,
    cause: &["fault start hot-key"],
    undo: &["fault stop hot-key"],
    check: Check::Command("fault running hot-key"),
    hold: Some(Hold::HotKey),
    change: None,
};
