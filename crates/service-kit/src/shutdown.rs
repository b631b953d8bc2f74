//! When to stop, and with which exit code.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::settings::{WrongSettings, usage_error};

/// What a shell reports for a process ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at once, for a person who will not
/// wait for the drain. Must be called inside a tokio runtime.
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let (terminate, interrupt) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    );
    if let (Some(terminate), Some(interrupt)) = (terminate, interrupt) {
        #[allow(
            clippy::disallowed_methods,
            reason = "it waits for as long as the process lives, and has no result"
        )]
        tokio::spawn(wait(terminate, interrupt, token.clone()));
    }
    token
}

/// How a service ends: 0 after a drain; 2 with one line on stderr because of its settings; 1 with the error and all its causes
/// in one line of the log.
pub fn exit_code(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<WrongSettings>() => usage_error(error),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| tracing::error!(%error, "no handler for a signal: it will end this process without a drain")).ok()
}

async fn wait(mut terminate: Signal, mut interrupt: Signal, token: CancellationToken) {
    let mut either = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let signal = either().await;
    tracing::info!(signal, "stopping");
    token.cancel();
    let signal = either().await;
    tracing::warn!(signal, "asked a second time: stopping at once");
    std::process::exit(INTERRUPTED);
}
