//! A member of inventory-service dies once, after its database write.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "crash-once",
    summary: "a member of inventory-service dies once, after its database write",
    mechanism: "inventory-service runs with SANDBOX_UNSAFE=1, and its controls say crash_at effect-committed: the next process that has committed a batch to its database kills itself (SIGKILL) before it publishes an event. In Docker mode the engine starts it again.",
    customer: "Some orders are confirmed late.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Partitions of each member"),
        command: "status",
        log: Some((
            "this process will kill itself on purpose",
            "inventory-service",
        )),
    },
    repair: "Start the process again: the batch is redelivered, and every decision is found.",
    remains: None,
    scenario: "crash-mid-saga",
    modes: Modes::Both,
    cause: &[
        "restart inventory-service --set SANDBOX_UNSAFE=1",
        "fault apply crash-once",
        "load burst --count 20",
    ],
    undo: &[
        "fault revert crash-once",
        "restart inventory-service --unset SANDBOX_UNSAFE",
    ],
    check: Check::Probe(Probe::CrashAtSet),
    hold: None,
    change: Some(Change::CrashAt { repeat: false }),
};
