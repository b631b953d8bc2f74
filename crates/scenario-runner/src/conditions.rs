//! The conditions of `sandbox wait` and `sandbox expect`. Each has a file with its arguments and a pure check; [`crate::probes`] reads the
//! present state for the check.

pub mod consuming;
pub mod controls;
pub mod dlq;
pub mod event_counts;
pub mod lag;
pub mod members;
pub mod order;
pub mod ratio;
pub mod ready;
pub mod settings;
pub mod status;
pub mod stock;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

use stack::terminal::Usage;

/// The interval between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long the only look of `--within 0s` may take. A count of lag takes up to 5 s.
const ONE_LOOK: Duration = Duration::from_secs(10);

/// The present state in one line, and whether the condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The condition holds.
    Holds(String),
    /// The condition does not hold, or not yet.
    Not(String),
}

impl Observation {
    /// An observation from the result of a check.
    pub fn judge(holds: bool, what: impl ToString) -> Self {
        let what = what.to_string();
        if holds {
            Self::Holds(what)
        } else {
            Self::Not(what)
        }
    }

    /// The same observation with a remark on what was seen.
    pub fn with(self, remark: impl fmt::Display) -> Self {
        match self {
            Self::Holds(seen) => Self::Holds(format!("{seen}; {remark}")),
            Self::Not(seen) => Self::Not(format!("{seen}; {remark}")),
        }
    }
}

/// A value parser for a number from 0 to `most`. A larger number can never be reached, so waiting for it would be useless.
pub fn at_most(
    most: usize,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    move |text| {
        let count = text.parse().ok().filter(|count| *count <= most);
        count.ok_or_else(|| format!("must be a whole number from 0 to {most}"))
    }
}

/// Repeats `look` until the condition holds, and returns the last observation. An error counts as "not yet", because services and broker
/// may be down in a scenario; wrong usage is returned at once. After `within`: an error with the last observation.
pub async fn until(
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Observation>,
) -> Result<String> {
    // Without time to wait there is one look, which still takes a moment.
    let deadline = Instant::now() + if within.is_zero() { ONE_LOOK } else { within };
    let mut last = String::new();
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Observation::Holds(seen))) => return Ok(seen),
            Ok(Ok(Observation::Not(seen))) => last = seen,
            Ok(Err(error)) if error.is::<Usage>() => return Err(error),
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) if last.is_empty() => "no answer".clone_into(&mut last),
            Err(_) => {}
        }
        if within.is_zero() || Instant::now() + POLL_INTERVAL >= deadline {
            match within.is_zero() {
                true => bail!("{last}"),
                false => {
                    let within = humantime::format_duration(within);
                    bail!("not within {within}; last seen: {last}");
                }
            }
        }
        sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_checked_until_it_holds() {
        let mut looks = 0;
        let seen = until(Duration::from_secs(5), async || {
            looks += 1;
            Ok(Observation::judge(looks == 3, format!("look {looks}")))
        });
        assert_eq!(seen.await.unwrap(), "look 3");
    }

    #[tokio::test]
    async fn a_condition_that_never_holds_reports_the_last_observation() {
        let mut looks = 0;
        let failed = until(Duration::from_millis(250), async || {
            looks += 1;
            if looks == 1 {
                Ok(Observation::Not("PENDING".to_owned()))
            } else {
                bail!("order-service cannot be reached")
            }
        });
        assert_eq!(
            failed.await.unwrap_err().to_string(),
            "not within 250ms; last seen: order-service cannot be reached"
        );
    }

    #[tokio::test]
    async fn a_check_that_hangs_ends_at_the_deadline() {
        let failed = until(Duration::from_millis(100), async || {
            std::future::pending::<()>().await;
            Ok(Observation::Holds(String::new()))
        });
        let error = failed.await.unwrap_err().to_string();
        assert_eq!(error, "not within 100ms; last seen: no answer");
    }

    #[tokio::test]
    async fn wrong_usage_is_returned_at_once() {
        let failed = until(Duration::from_secs(60), async || {
            Err(Usage::error("no such slot"))
        });
        assert!(failed.await.unwrap_err().is::<Usage>());
    }
}
