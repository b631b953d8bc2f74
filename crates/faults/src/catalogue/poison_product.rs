//! Inventory-service cannot process any order of prod_123.

use crate::fault::{Check, Fault, Modes, Shows};

pub(super) const FAULT: Fault = Fault {
    name: "poison-product",
    summary: "inventory-service cannot process any order of prod_123",
    mechanism: "inventory-service runs with a setting for which each event about prod_123 is poison: the member sends the record to the dead-letter topic.",
    customer: "Orders of prod_123 are paid and never confirmed. Other orders are not affected.",
    shows: Shows {
        panel: ("Services", "Dead letters by class"),
        command: "dlq list",
        log: Some(("sent to the dead-letter topic", "inventory-service")),
    },
    repair: "Repair the setting, then replay the dead letters: ./sandbox dlq replay inventory.dlq.",
    remains: None,
    scenario: "dead-letter",
    modes: Modes::Both,
    cause: &["restart inventory-service --set POISON_PRODUCT=prod_123"],
    undo: &["restart inventory-service --unset POISON_PRODUCT"],
    check: Check::Command("expect settings inventory-service POISON_PRODUCT=prod_123 --within 0s"),
    hold: None,
    change: None,
};
