//! The runtime on a real broker and a real database. One program, since each would compile the whole of it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod answers;
#[allow(
    clippy::disallowed_methods,
    reason = "other people's clients are played by plain ones"
)]
mod cluster;
mod controls;
mod failure_modes;
#[allow(
    clippy::disallowed_methods,
    reason = "other people's clients are played by plain ones"
)]
mod follow;
mod poison;
mod rebalance;
mod relay;
mod remains;
mod replay;
mod rig;
mod statistics;
