//! Payments keeps its records for one second, while inventory-service is stopped.

use crate::change::Change;
use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;
use shared_events::Topic;

pub(super) const FAULT: Fault = Fault {
    name: "short-retention",
    summary: "payments keeps its records for one second, while inventory-service is stopped",
    mechanism: "retention.ms and segment.ms of payments are 1000, and inventory-service is stopped. The broker looks for old segments every ten seconds, and deletes what nobody has read yet.",
    customer: "Paid orders are not confirmed. After the repair, those whose records were deleted stay PAID.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Oldest unread record"),
        command: "status",
        log: None,
    },
    repair: "Set the retention back, then start the group.",
    remains: Some("The records that the broker has deleted meanwhile."),
    scenario: "retention-loss",
    modes: Modes::Both,
    cause: &["kill inventory-service", "fault apply short-retention"],
    undo: &[
        "fault revert short-retention",
        "up inventory-service --no-build",
    ],
    check: Check::Probe(Probe::ShortRetention(Topic::Payments)),
    hold: None,
    change: Some(Change::ShortRetention),
};
