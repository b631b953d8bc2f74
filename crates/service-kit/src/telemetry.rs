//! Logs: on stderr, each line beginning with the time (RFC 3339, UTC, microseconds), so that the lines of several services
//! can be put in order by sorting.
//!
//! Levels: `error` a person must act; `warn` degraded; `info` lifecycle; a message or request that went well is `debug` and a
//! counter.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::LogFormat;
use crate::settings::usage_error;

/// Starts logging for this process, once. `RUST_LOG` chooses levels (`info` unless said otherwise); a wrong one ends the
/// process like any wrong setting.
pub fn init(service: &'static str, format: LogFormat) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .unwrap_or_else(|error| usage_error(format!("RUST_LOG: {error}")));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    tracing::info!(
        service,
        version = env!("CARGO_PKG_VERSION"),
        process.id = std::process::id(),
        "starting"
    );
}
