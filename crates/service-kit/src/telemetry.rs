//! Logs on stderr. Each line starts with the time (RFC 3339, UTC, microseconds), so sorting merges
//! the logs of several services.
//!
//! Levels: `error` a person must act; `warn` degraded; `info` lifecycle. A successful message or
//! request is `debug` and a counter.
//!
//! A line that cannot be written (a full disk, a pipe whose reader has gone) is lost, and the
//! process continues. Once lines can be written again, the first one says how many were lost.

mod log_stream;

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use self::log_stream::LogStream;
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
        // The subscriber would report a failed write with `eprintln!`, which panics if it fails too.
        .log_internal_errors(false)
        .with_writer(Mutex::new(LogStream::new(stderr(), format)))
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

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[ignore = "started by the test below as a process of its own"]
    fn logging_process() {
        init("example", LogFormat::Json);
        tracing::error!("the process continues after this line");
    }

    #[test]
    fn a_process_whose_log_cannot_be_written_continues() {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        for log in [Stdio::from(full), Stdio::from(closed)] {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "telemetry::tests::logging_process"])
                .args(["--ignored", "--nocapture"])
                .stdout(Stdio::null())
                .stderr(log)
                .status();
            assert_eq!(status.unwrap().code(), Some(0));
        }
    }
}
