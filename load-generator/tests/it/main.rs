//! load-generator on a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod api;
mod commands;
mod keys;
mod outage;
mod over_http;
mod support;
