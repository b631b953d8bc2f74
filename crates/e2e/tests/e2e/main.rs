//! The whole shop, as processes: what it promises, also when it is killed at any point, and what one order's trace tells. One
//! program, since each would compile all of it anew.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, and says where"
)]

mod crash;
mod saga;
mod shop;
mod trace;
