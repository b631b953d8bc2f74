//! What every service of the shop needs that has nothing to do with Kafka.
//!
//! In the order in which a service uses it:
//! * [`settings`]: one typed struct; an invalid setting ends the process with one line;
//! * [`telemetry`] (logs), [`trace`] (OpenTelemetry spans), [`shutdown`] (signals and exit codes),
//!   [`output`] (lines on standard output and standard error);
//! * [`server`]: HTTP with limits on connections, headers, bodies and time, and with
//!   [`host_origin_check`] against requests of web pages;
//! * [`query_params`] and [`json_fields`]: reading requests so that an answer names every wrong
//!   field; [`BoundedInt`] for whole numbers; [`problem`]: error responses (RFC 9457);
//! * [`request_metrics`]: the histogram of request times;
//! * [`readiness`] and [`admin`]: the health endpoints and `/metrics`; the subcommand `health`
//!   reads them; [`outage_log`]: an outage is logged once;
//! * [`mode`]: local processes or containers; [`instance`]: the instance number of a process; [`dns_lookup`]: the container network's DNS
//!   server.

#![deny(missing_docs)]

pub mod admin;
mod bounded_int;
pub mod dns_lookup;
pub mod escape;
mod health_command;
pub mod host_origin_check;
pub mod instance;
pub mod json_fields;
mod limits;
pub mod mode;
pub mod outage_log;
pub mod output;
pub mod problem;
pub mod query_params;
pub mod readiness;
pub mod request_metrics;
pub mod server;
pub mod settings;
pub mod shutdown;
mod span_export;
pub mod telemetry;
pub mod trace;

pub use bounded_int::BoundedInt;
pub use mode::Mode;
pub use problem::Problem;
pub use readiness::{Component, Readiness};
pub use request_metrics::RequestMetrics;
pub use settings::{HttpSettings, LogFormat};

/// A future that is compiled in the crate that returns it. The code of an `async fn` is compiled in
/// each crate that awaits it: the service in its binary, and again in its test program.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
