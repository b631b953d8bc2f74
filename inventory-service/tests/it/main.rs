//! inventory-service on a real PostgreSQL and a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an unexpected value fails the test"
)]

mod controls;
mod http;
mod outage;
mod overlap;
mod responses;
mod service;
mod startup;
mod store;
mod support;
