//! The broker cannot write to its disk any more.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;

pub(super) const FAULT: Fault = Fault {
    name: "broker-disk-full",
    summary: "the broker cannot write to its disk any more",
    mechanism: "The kernel lets the broker's process make no file larger than it is now (RLIMIT_FSIZE): its next write fails like that on a full disk. The broker then gives its log directory up, and ends, since it has no other.",
    customer: "Orders are accepted, and stay PENDING: their events wait in the outbox.",
    shows: Shows {
        panel: ("Services", "Oldest event in the outbox"),
        command: "status",
        log: Some(("relay failed, will reconnect", "order-service")),
    },
    repair: "Make room, then start the broker.",
    remains: None,
    scenario: "broker-outage",
    modes: Modes::LocalOnly(
        "no program in the broker's container can set the limits of another process",
    ),
    cause: &["fault limit-broker"],
    undo: &["-kill -9 kafka", "up kafka --no-build"],
    check: Check::Probe(Probe::FileSizeLimited),
    hold: None,
    change: None,
};
