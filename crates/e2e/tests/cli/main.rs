//! The command `sandbox` on real stacks of the test program, on free ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test that cannot go on has failed, and says where"
)]

mod answers;
mod audit;
mod autoscale;
mod bench;
mod consumer;
mod databases;
mod failures;
mod faults;
mod kubernetes;
mod lag;
mod lifecycle;
mod observe;
mod recommended;
mod rig;
mod settings;
mod start_failures;
mod topics;
