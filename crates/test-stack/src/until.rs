//! Waiting for something that happens elsewhere.

use std::fmt::Display;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two looks.
const TURN: Duration = Duration::from_millis(20);

/// Calls `look` until it answers `Ok`, and returns that. An `Err` says what was seen instead.
///
/// # Panics
/// When `within` has passed, or one look hangs that long: the message names `what` was awaited and what was seen last.
pub async fn eventually<T, S: Display>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let deadline = Instant::now() + within;
    let mut seen = "nothing yet".to_owned();
    loop {
        // A look that is answered at once counts even after the deadline; one that hangs does not outlast it.
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, look()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(other)) => seen = other.to_string(),
            Err(_) => {}
        }
        assert!(
            Instant::now() < deadline,
            "not within {within:?}: {what}; last seen: {seen}"
        );
        sleep(TURN).await;
    }
}
