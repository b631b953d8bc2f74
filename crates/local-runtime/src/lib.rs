//! Apache Kafka and PostgreSQL as local processes, without Docker: brought once from Maven, started on given ports, paused,
//! killed and stopped by process id; and Prometheus, where the machine has it. Nothing here knows the shop.
//!
//! Read in this order:
//! * [`home`]: where a stack keeps its data, logs and process records;
//! * [`process`]: starts any program so that it outlives the caller (or dies with it), and finds it again later;
//! * [`tree`]: who a process is, its descendants, and signals that cannot hit a stranger;
//! * [`dist`]: brings the jars and the PostgreSQL archive;
//! * [`kafka`], [`postgres`]: one node of each; [`database`]: the server as its clients see it;
//! * [`backends`]: both together, as the sandbox and the tests start them; [`prometheus`]: who watches;
//! * [`kafka_tools`]: Kafka's own command-line tools; [`ports`]: free ports, and who holds a taken one.
//!
//! Whatever waits is `async` and must be called within a tokio runtime that has I/O and time enabled. Errors are meant for a
//! person: their outermost message is one line that says what to do.

pub mod backends;
pub mod database;
pub mod dist;
pub mod home;
pub mod kafka;
pub mod kafka_tools;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
mod reach;
mod record;
pub mod tree;
pub(crate) mod wait;
