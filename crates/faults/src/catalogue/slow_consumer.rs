//! Inventory-service takes 2 s for each message.

use crate::fault::{Check, Fault, Modes, Shows};

pub(super) const FAULT: Fault = Fault {
    name: "slow-consumer",
    summary: "inventory-service takes 2 s for each message",
    mechanism: "Every member of inventory-service waits 2 s before each message and takes one message at a time, as with a slow call of another system.",
    customer: "Orders are paid at once, and confirmed minutes later.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Time for one message (p95)"),
        command: "consumer show inventory-service",
        log: Some(("settings of the group", "inventory-service")),
    },
    repair: "Take the cause away, or add members up to the number of partitions.",
    remains: None,
    scenario: "consumer-lag",
    modes: Modes::Both,
    cause: &["consumer slow inventory-service --time-ms 2000"],
    undo: &["consumer clear inventory-service"],
    check: Check::Command(
        "expect controls inventory-service --processing-time-ms 2000 --within 0s",
    ),
    hold: None,
    change: None,
};
