//! The whole shop as processes: its guarantees, also when a process is killed at any point, and the trace of one order. One test
//! program, because each further one would link everything again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and says where"
)]

mod controls;
mod crash;
mod saga;
mod shop;
mod trace;
