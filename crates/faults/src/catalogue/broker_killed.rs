//! The broker is killed and stays away.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "broker-killed",
    summary: "the broker is killed and stays away",
    mechanism: "The process of the broker gets SIGKILL. What it had not written to disk is lost, except for what the operating system still writes.",
    customer: "Orders are accepted, and stay PENDING: their events wait in the outbox.",
    shows: Shows {
        panel: ("Services", "Oldest event in the outbox"),
        command: "status",
        log: Some(("relay failed, will reconnect", "order-service")),
    },
    repair: "Start the broker. If a group is blocked afterwards: ./sandbox transactions list.",
    remains: None,
    scenario: "broker-outage",
    modes: Modes::Both,
    cause: &["kill -9 kafka"],
    undo: &["up kafka --no-build"],
    check: Check::Probe(Probe::BrokerAway),
    hold: None,
    change: None,
};
