//! order-service on a real PostgreSQL and a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an unexpected value fails the test"
)]

mod bad_input;
mod bounds;
mod consuming;
mod events;
mod facts;
mod keys;
mod outage;
mod publishing;
mod reading;
mod sagas;
mod stuck;
mod support;
mod topics;
