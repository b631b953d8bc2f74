//! lag-monitor with a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod burst;
mod changes;
mod contract;
mod controls;
mod events;
mod instances;
mod kafka_wire;
mod names;
mod outage;
mod page;
mod test_monitor;
