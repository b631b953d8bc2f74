//! A real Kafka and a real PostgreSQL for tests.
//!
//! * [`shared`]: one broker and one database server for all tests of a process, or of the whole run when `./sandbox test`
//!   started them. A test keeps to topics with a prefix of its own and to databases of its own, so tests run side by side.
//! * [`exclusive`]: a broker and a server for one test, which may stop, kill and pause them.
//! * [`eventually`]: waits for a condition with a deadline.
//!
//! Both end with the test process, also when that is killed, and leave no file behind. Whatever fails here panics: a test without
//! its broker has failed, and there is nobody to handle it.

#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a test whose stack does not start has failed"
)]

mod own;
mod shared;
mod until;

pub use own::{OwnStack, exclusive};
pub use shared::{Stack, shared};
pub use until::eventually;
