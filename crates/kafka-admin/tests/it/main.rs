//! kafka-admin on a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an unexpected value fails the test"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "plain clients play the other programs on the cluster"
)]

mod committed;
mod groups;
mod records;
mod refused;
mod replay;
mod support;
mod tail_new;
mod topics;
