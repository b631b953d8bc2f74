//! The runtime on a real broker and a real database. One program, since each would compile the whole of it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]

mod answers;
mod controls;
mod failure_modes;
mod poison;
mod rebalance;
mod relay;
mod remains;
mod rig;
mod statistics;
