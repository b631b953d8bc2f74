//! Apache Kafka, PostgreSQL and Prometheus as local processes, without Docker.
//!
//! Maven downloads Kafka and PostgreSQL once; Prometheus is used where it is installed. The
//! processes are started on given ports, and paused, killed and stopped by process id. The crate
//! knows nothing about the shop.
//!
//! Read in this order:
//! * [`state_dir`]: where a stack keeps its data, logs and process records;
//! * [`process`]: starts a program so that it outlives the caller (or ends with it), and finds it
//!   again later;
//! * [`process_tree`]: the identity of a process, its descendants, and signals that never reach
//!   another process with the same id;
//! * [`download`]: downloads Kafka's jars and PostgreSQL's archive;
//! * [`kafka`], [`postgres`], [`prometheus`]: one server of each; [`database`]: the PostgreSQL
//!   server as its clients see it;
//! * [`environment`]: the variables that programs of a stack get; [`disk_space`]: the file systems
//!   that they write to;
//! * [`backends`]: Kafka and PostgreSQL together, as the sandbox and the tests start them;
//! * [`kafka_tools`]: Kafka's own command-line tools; [`free_ports`]: free ports, and which process
//!   holds a taken one.
//!
//! Async functions must be called within a tokio runtime that has I/O and time enabled. Errors are
//! written for a person: the outermost message is one line that says what to do.

#![deny(missing_docs)]

pub mod backends;
pub mod database;
pub mod disk_space;
pub mod download;
pub mod environment;
pub mod free_ports;
pub mod kafka;
mod kafka_properties;
pub mod kafka_tools;
pub mod postgres;
pub mod process;
mod process_record;
pub mod process_tree;
pub mod prometheus;
mod run_as_nobody;
pub mod state_dir;
pub mod supervised;
