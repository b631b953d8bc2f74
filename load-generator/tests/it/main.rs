//! load-generator on a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an unexpected value fails the test"
)]

mod api;
mod api_bounds;
mod commands;
mod outage;
mod over_http;
mod support;
mod topic_contents;
