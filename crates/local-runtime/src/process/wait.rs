//! Waiting for a condition: polled until a deadline.

use super::Processes;
use anyhow::{Result, bail};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a condition is checked. Most conditions are cheap reads of `/proc` or of a loopback
/// socket.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// True as soon as `condition` is, false when `within` has passed without it.
pub(super) async fn until(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(POLL_INTERVAL).await;
    }
}

impl Processes {
    /// Waits until `answers` returns true. `title` and `address` name the server in the error.
    ///
    /// # Errors
    /// When the process ended meanwhile, or did not answer in time; the message holds the cause from
    /// its log.
    pub(crate) async fn until_ready(
        &self,
        process: &str,
        title: &str,
        address: SocketAddr,
        within: Duration,
        answers: impl AsyncFn() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        while !answers().await {
            let cause = || {
                let cause = self.start_failure(process);
                cause.unwrap_or_else(|| "it wrote nothing to its log".to_owned())
            };
            if !self.runs(process)? {
                bail!("{title} ended while it started: {}", cause());
            }
            if Instant::now() >= deadline {
                let seconds = within.as_secs();
                bail!(
                    "{title} does not answer on {address} after {seconds} s: {}",
                    cause()
                );
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}
