//! Conditions that scenarios wait for and assert. Each is two halves: what it says (its arguments and a pure check of what was
//! seen, in a file of its own), and how that is seen ([`crate::probes`]).

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

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

use stack::terminal::Usage;

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What was seen, and whether the condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It holds.
    Holds(String),
    /// It does not, or not yet.
    Not(String),
}

impl Seen {
    /// What was seen, judged.
    pub fn judge(holds: bool, what: impl ToString) -> Self {
        let what = what.to_string();
        if holds {
            Self::Holds(what)
        } else {
            Self::Not(what)
        }
    }
}

/// A value parser for how many there shall be, from 0 to `most`: more there cannot be, and waiting for them would be in vain.
pub fn at_most(
    most: usize,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    move |text| {
        let count = text.parse().ok().filter(|count| *count <= most);
        count.ok_or_else(|| format!("must be a whole number from 0 to {most}"))
    }
}

/// Looks until the condition holds, and returns what was seen then. An error of looking counts as "not yet", since services and
/// broker may be away in a scenario; wrong usage does not. Over time: an error that tells what was seen last.
pub async fn until(
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen>,
) -> Result<String> {
    let deadline = Instant::now() + within;
    let mut last = String::new();
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Seen::Holds(seen))) => return Ok(seen),
            Ok(Ok(Seen::Not(seen))) => last = seen,
            Ok(Err(error)) if error.is::<Usage>() => return Err(error),
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) if last.is_empty() => "no answer".clone_into(&mut last),
            Err(_) => {}
        }
        if Instant::now() + POLL_INTERVAL >= deadline {
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
    async fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let seen = until(Duration::from_secs(5), async || {
            looks += 1;
            Ok(Seen::judge(looks == 3, format!("look {looks}")))
        });
        assert_eq!(seen.await.unwrap(), "look 3");
    }

    #[tokio::test]
    async fn a_condition_that_never_holds_tells_what_was_seen_last() {
        let mut looks = 0;
        let failed = until(Duration::from_millis(250), async || {
            looks += 1;
            if looks == 1 {
                Ok(Seen::Not("PENDING".to_owned()))
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
    async fn a_look_that_hangs_does_not_outlast_the_deadline() {
        let failed = until(Duration::from_millis(100), async || {
            std::future::pending::<()>().await;
            Ok(Seen::Holds(String::new()))
        });
        let error = failed.await.unwrap_err().to_string();
        assert_eq!(error, "not within 100ms; last seen: no answer");
    }

    #[tokio::test]
    async fn wrong_usage_is_said_at_once() {
        let failed = until(Duration::from_secs(60), async || {
            Err(Usage::error("no such slot"))
        });
        assert!(failed.await.unwrap_err().is::<Usage>());
    }
}
