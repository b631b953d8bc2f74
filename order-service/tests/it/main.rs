//! order-service on a real PostgreSQL and a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod bad_input;
mod bounds;
mod facts;
mod kafka;
mod keys;
mod outage;
mod reading;
mod sagas;
mod support;
