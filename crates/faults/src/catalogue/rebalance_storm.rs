//! A member joins the group of inventory-service and leaves it, for ever.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::hold::Hold;

pub(super) const FAULT: Fault = Fault {
    name: "rebalance-storm",
    summary: "a member joins the group of inventory-service and leaves it, for ever",
    mechanism: "A client of its own joins the group for 3 s, reads nothing, leaves, and comes back after 2 s. Each time the group rebalances.",
    customer: "Orders are confirmed in jumps, some seconds late.",
    shows: Shows {
        panel: ("Kafka clients", "Rebalances by service"),
        command: "kafka consumer-groups --describe --members --group inventory-service-group",
        log: Some(("partitions revoked", "inventory-service")),
    },
    repair: "Find the member by its client id in ./sandbox kafka consumer-groups --describe --members, and end it.",
    remains: None,
    scenario: "rebalance-storm",
    modes: Modes::Both,
    cause: &["fault start rebalance-storm"],
    undo: &["fault stop rebalance-storm"],
    check: Check::Command("fault running rebalance-storm"),
    hold: Some(Hold::GroupMember),
    change: None,
};
