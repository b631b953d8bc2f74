//! The tools on a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

#[allow(
    clippy::disallowed_methods,
    reason = "other people's clients are played by plain ones"
)]
mod cluster;
#[allow(
    clippy::disallowed_methods,
    reason = "other people's clients are played by plain ones"
)]
mod follow;
mod committed;
mod replay;
