//! Polls of a real broker: complete and correct, or an error.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helper functions of tests fail by panicking, and plain clients stand for those of other programs"
)]

mod broker_faults;
mod groups;
mod kafka_tool;
mod log_scan;
mod test_cluster;
mod transactions;
