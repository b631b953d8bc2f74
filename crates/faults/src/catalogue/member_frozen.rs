//! Inventory-service.1 is frozen beyond its session.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;
use shared_events::Service;

pub(super) const FAULT: Fault = Fault {
    name: "member-frozen",
    summary: "inventory-service.1 is frozen beyond its session",
    mechanism: "The process gets SIGSTOP (in Docker mode its container is paused). After 6 s without a heartbeat the broker removes the member from its group.",
    customer: "Paid orders are not confirmed any more, if it was the only member.",
    shows: Shows {
        panel: ("Kafka clients", "Rebalances"),
        command: "status",
        log: None,
    },
    repair: "Continue the process: the broker fences what it still tries, and it joins again.",
    remains: None,
    scenario: "zombie",
    modes: Modes::Both,
    cause: &["pause inventory-service.1"],
    undo: &["up inventory-service.1 --no-build"],
    check: Check::Probe(Probe::InstanceFrozen(Service::Inventory)),
    hold: None,
    change: None,
};
