//! inventory-service on a real PostgreSQL and a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod controls;
mod http;
mod outage;
mod overlap;
mod service;
mod store;
mod support;
