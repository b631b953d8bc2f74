//! Stopping on a signal, and the exit code.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::settings::{InvalidSettings, usage_error};

/// The exit code of shells for a process ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels. The second signal ends the process at once,
/// without the drain. Must be called inside a tokio runtime.
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let (terminate, interrupt) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    );
    if let (Some(terminate), Some(interrupt)) = (terminate, interrupt) {
        #[allow(
            clippy::disallowed_methods,
            reason = "the task runs until the process ends, and has no result"
        )]
        tokio::spawn(wait(terminate, interrupt, token.clone()));
    }
    token
}

/// The exit code of a service: 0 after a drain; 2 after [`InvalidSettings`], with one line on
/// stderr; 1 after any other error, with the error and its causes in one log line.
pub fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<InvalidSettings>() => usage_error(error),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| tracing::error!(%error, "cannot handle a signal: it will end the process without a drain")).ok()
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
    tracing::warn!(signal, "second signal: stopping at once");
    std::process::exit(INTERRUPTED);
}
