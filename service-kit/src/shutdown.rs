//! When to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

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
