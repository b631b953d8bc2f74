//! A poll of a real broker tells what is there, or that it cannot.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helper functions of tests fail by panicking, and other people's clients are played by plain ones"
)]

mod faults;
mod groups;
mod rig;
mod tool;
mod unread;
