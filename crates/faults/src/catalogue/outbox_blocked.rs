//! Another program holds the lock of the outbox relay.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "outbox-blocked",
    summary: "another program holds the lock of the outbox relay",
    mechanism: "A session that calls itself reporting holds the advisory lock without which no instance of order-service publishes the events of the outbox.",
    customer: "Orders are accepted, and stay PENDING: their events wait in the outbox.",
    shows: Shows {
        panel: ("Services", "Outbox relay leaders"),
        command: "audit",
        log: Some(("relay failed, will reconnect", "order-service")),
    },
    repair: "End the session that holds the lock: pg_locks shows it, pg_terminate_backend ends it.",
    remains: None,
    scenario: "outbox",
    modes: Modes::Both,
    cause: &["fault start outbox-blocked"],
    undo: &["fault stop outbox-blocked"],
    check: Check::Probe(Probe::AdvisoryLock("reporting")),
    hold: Some(Hold::RelayLock("reporting")),
    change: None,
};
