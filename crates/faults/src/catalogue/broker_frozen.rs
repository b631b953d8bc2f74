//! The broker is frozen.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "broker-frozen",
    summary: "the broker is frozen",
    mechanism: "The process of the broker gets SIGSTOP (in Docker mode its container is paused). Connections stay open, and no request is answered.",
    customer: "Orders are accepted, and stay PENDING: their events wait in the outbox.",
    shows: Shows {
        panel: ("Services", "Oldest event in the outbox"),
        command: "status",
        log: Some(("relay failed, will reconnect", "order-service")),
    },
    repair: "Continue the process.",
    remains: None,
    scenario: "broker-outage",
    modes: Modes::Both,
    cause: &["pause kafka"],
    undo: &["up kafka --no-build"],
    check: Check::Probe(Probe::BrokerFrozen),
    hold: None,
    change: None,
};
