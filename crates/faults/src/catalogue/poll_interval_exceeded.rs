//! Inventory-service takes longer for a batch than its poll interval.

use crate::fault::{Check, Fault, Modes, Shows};

pub(super) const FAULT: Fault = Fault {
    name: "poll-interval-exceeded",
    summary: "inventory-service takes longer for a batch than its poll interval",
    mechanism: "inventory-service waits 20 s for each batch, and max.poll.interval.ms is 10 s. The client leaves the group in the middle of each batch, and the batch is read again.",
    customer: "Paid orders are not confirmed any more.",
    shows: Shows {
        panel: ("Kafka clients", "Rebalances by service"),
        command: "status",
        log: Some((
            "group rebalanced, batch will be retried",
            "inventory-service",
        )),
    },
    repair: "Make the batch shorter, or the interval longer than the slowest batch.",
    remains: None,
    scenario: "silent-stall",
    modes: Modes::Both,
    cause: &[
        "restart inventory-service --set KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS=10000 --set PROCESSING_TIME_MS=20000",
    ],
    undo: &[
        "restart inventory-service --unset KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS --unset PROCESSING_TIME_MS",
    ],
    check: Check::Command(
        "expect settings inventory-service KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS=10000 PROCESSING_TIME_MS=20000 --within 0s",
    ),
    hold: None,
    change: None,
};
