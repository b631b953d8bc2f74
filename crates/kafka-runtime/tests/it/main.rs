//! The runtime on a real broker and a real database. One test program, since each one links the whole runtime.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod client_metrics;
mod conditions;
mod control_topic;
mod controls;
mod delivery;
mod failure_modes;
mod foreign_records;
mod harness;
mod membership;
mod poison;
mod poison_policy;
mod rebalance;
mod relay;
mod test_service;
