//! Inventory-service dies after each database write, and is started again, for ever.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "crash-loop",
    summary: "inventory-service dies after each database write, and is started again, for ever",
    mechanism: "As crash-once, and each process that is started later dies, too. In local mode a process in the background starts the ended one again; in Docker mode the engine does.",
    customer: "Paid orders are not confirmed any more.",
    shows: Shows {
        panel: ("Kafka clients", "Rebalances by service"),
        command: "status",
        log: Some((
            "this process will kill itself on purpose",
            "inventory-service",
        )),
    },
    repair: "Take the cause of the crash away, then start the service.",
    remains: None,
    scenario: "crash-mid-saga",
    modes: Modes::Both,
    cause: &[
        "restart inventory-service --set SANDBOX_UNSAFE=1",
        "fault apply crash-loop",
        "fault start crash-loop",
        "load burst --count 20",
    ],
    undo: &[
        "fault stop crash-loop",
        "fault revert crash-loop",
        "restart inventory-service --unset SANDBOX_UNSAFE",
    ],
    check: Check::Probe(Probe::CrashAtSet),
    hold: Some(Hold::Restarts),
    change: Some(Change::CrashAt { repeat: true }),
};
