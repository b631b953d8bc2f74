//! PostgreSQL is frozen.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "database-frozen",
    summary: "PostgreSQL is frozen",
    mechanism: "The processes of PostgreSQL get SIGSTOP (in Docker mode the container is paused). Connections stay open, and no statement is answered.",
    customer: "POST /orders gets no answer for some seconds, then 503.",
    shows: Shows {
        panel: ("Services", "Transactions (p95)"),
        command: "status",
        log: Some(("batch failed, will retry", "inventory-service")),
    },
    repair: "Continue the processes.",
    remains: None,
    scenario: "database-outage",
    modes: Modes::Both,
    cause: &["pause postgres"],
    undo: &["up postgres --no-build"],
    check: Check::Probe(Probe::DatabaseFrozen),
    hold: None,
    change: None,
};
