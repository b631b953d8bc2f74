//! A real Kafka and a real PostgreSQL for tests.
//!
//! * [`shared`]: one broker and one database server for all tests of a process, or of the whole run when `./sandbox test`
//!   started them. A test keeps to topics with a prefix of its own and to databases of its own, so tests run side by side.
//! * [`exclusive`]: a broker and a server for one test, which may stop, kill and pause them.
//! * [`kafka_tool`]: Kafka's own command-line tools, to compare with.
//! * [`eventually`]: waits for a condition with a deadline.
//!
//! `SANDBOX_TEST_STACK` says what they are: `local` processes (also when it is not set), or containers of the `docker` engine on
//! this machine, which must then be there; nothing is chosen by what happens to be installed. A test need not know.
//!
//! Both end with the test process, also when that is killed, and leave no file, container or volume behind. Containers take a
//! second or two to go; each has the label `saga-sandbox.test`, so that those of a machine that lost its power can be found:
//! `docker ps -aq --filter label=saga-sandbox.test | xargs -r docker rm -fv`.
//!
//! Whatever fails here panics: a test without its broker has failed, and there is nobody to handle it.

#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a test whose stack does not start has failed"
)]

mod backing;
mod containers;
mod images;
mod local;
mod own;
mod shared;
mod sweeper;
mod tool;
mod until;

pub use own::{OwnStack, exclusive};
pub use shared::{Stack, shared};
pub use tool::kafka_tool;
pub use until::eventually;
