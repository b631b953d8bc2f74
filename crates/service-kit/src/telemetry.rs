//! Logs on stderr. Each line starts with the time (RFC 3339, UTC, microseconds), so sorting merges
//! the logs of several services.
//!
//! Levels: `error` a person must act; `warn` degraded; `info` lifecycle. A successful message or
//! request is `debug` and a counter.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::LogFormat;
use crate::settings::usage_error;

/// Starts logging for this process. Call it once. `RUST_LOG` sets the levels (default `info`); an
/// invalid value ends the process like any invalid setting.
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
