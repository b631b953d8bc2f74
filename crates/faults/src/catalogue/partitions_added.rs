//! Payments has more partitions than before.

use crate::fault::{Check, Fault, Modes, Shows};
use crate::probe::Probe;
use shared_events::Topic;

pub(super) const FAULT: Fault = Fault {
    name: "partitions-added",
    summary: "payments has more partitions than before",
    mechanism: "payments gets six partitions instead of three. Most keys lead to another partition from now on, so the records of one order are on two partitions, and their order is lost.",
    customer: "Nothing, unless an order has events from before and after the change: then an event may be processed before the one that it depends on.",
    shows: Shows {
        panel: ("Saga & Consumer Lag", "Lag of each partition"),
        command: "topics describe payments",
        log: None,
    },
    repair: "Stop the producers and wait for lag 0 before partitions are added; afterwards the keys are stable again.",
    remains: Some(
        "The six partitions: Kafka cannot remove a partition. ./sandbox reset creates the topic with three.",
    ),
    scenario: "ordering",
    modes: Modes::Both,
    cause: &["topics grow payments --partitions 6"],
    undo: &[],
    check: Check::Probe(Probe::MorePartitions(Topic::Payments)),
    hold: None,
    change: None,
};
