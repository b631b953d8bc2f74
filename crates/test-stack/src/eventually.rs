//! Polling a condition until a deadline.

use std::fmt::Display;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls `check` until it returns `Ok`, and returns that value. An `Err` says what was seen
/// instead.
///
/// # Panics
/// When `within` has passed, or one call takes that long. The message names `what` was expected and
/// what was seen last.
pub async fn eventually<T, S: Display>(
    within: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let deadline = Instant::now() + within;
    let mut seen = "nothing yet".to_owned();
    loop {
        // A call that returns at once counts even after the deadline; a call that hangs ends with
        // it.
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, check()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(other)) => seen = other.to_string(),
            Err(_) => {}
        }
        assert!(
            Instant::now() < deadline,
            "not within {within:?}: {what}; last seen: {seen}"
        );
        sleep(POLL_INTERVAL).await;
    }
}
