//! Waiting for a condition: polled, with a deadline, never a fixed sleep.

use std::time::Duration;
use tokio::time::Instant;

/// How often a condition is looked at. Short, because most of them are cheap reads of `/proc` or of a loopback socket.
const TURN: Duration = Duration::from_millis(10);

/// True as soon as `condition` is, false when `within` has passed without it.
pub(crate) async fn until(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        turn().await;
    }
}

/// One pause between two looks.
pub(crate) async fn turn() {
    tokio::time::sleep(TURN).await;
}
