//! A real Kafka and a real PostgreSQL for tests.
//!
//! * [`shared`]: one broker and one database server for all tests of a process, or of the whole run
//!   when `./sandbox test` started them. Each test uses topics with a prefix of its own and
//!   databases of its own, so tests run at the same time.
//! * [`dedicated`]: a broker and a database server for one test, which may stop, kill and pause
//!   them.
//! * [`kafka_tool`]: Kafka's own command-line tools, to compare results with.
//! * [`eventually`]: polls a condition until a deadline.
//!
//! `SANDBOX_TEST_STACK` chooses between `local` processes (the default) and containers of the
//! `docker` engine on this machine. Tests run the same way on both.
//!
//! Processes and containers end with the test process, also when it is killed, and leave no file,
//! container or volume behind. Removing the containers takes seconds, and two minutes at most. Each
//! container has the label `saga-sandbox.test`. After a power failure, or when the engine did not
//! answer for two minutes, this command removes those that are left:
//! `docker ps -aq --filter label=saga-sandbox.test | xargs -r docker rm -fv`.
//!
//! Every failure panics: a test without its broker has failed.

#![deny(missing_docs)]
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a test whose stack does not start has failed"
)]

mod backend;
mod container_cleanup;
mod containers;
mod dedicated;
mod eventually;
mod images;
mod local;
mod shared;
mod tool;

pub use dedicated::{DedicatedStack, dedicated};
pub use eventually::eventually;
pub use local::sources;
pub use shared::{Stack, shared};
pub use tool::kafka_tool;
