//! Rates of lag, consumption and production.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::history::History;
use super::partition_history::PartitionHistory;

/// The time span of a rate, unless two readings are farther apart. With a longer span a burst would
/// still look like growth while it is already being read.
const WINDOW: TimeDelta = TimeDelta::seconds(15);

/// Records per second over the last 15 seconds, or between the last two readings if they are
/// farther apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// The change of the lag: positive while it grows.
    pub lag: f64,
    /// The advance of committed offsets. Transaction markers count as records.
    pub consumed: f64,
    /// The advance of last stable offsets. Transaction markers count as records.
    pub produced: f64,
}

/// The start of the time span of rates; `None` after a single reading.
pub(super) fn window_start(history: &History) -> Option<DateTime<Utc>> {
    let (now, before) = history.readings().split_last()?;
    let within = before.iter().find(|at| *now - **at <= WINDOW);
    within.or(before.last()).copied()
}

/// The rates on a partition from the first sample at or after `then`, or else from the sample
/// before the last. `None` if there is one sample only.
pub(super) fn since(
    history: &PartitionHistory,
    then: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Rates> {
    let last = history.sample_of(now)?;
    let (_, samples) = history.samples().split_last()?;
    let within = samples.iter().find(|sample| sample.at >= then);
    let before = within.or(samples.last())?;
    let seconds = (now - before.at).as_seconds_f64();
    let rate = |new: i64, old: i64| new.saturating_sub(old) as f64 / seconds;
    Some(Rates {
        lag: rate(last.readable, before.readable),
        consumed: rate(last.committed, before.committed),
        produced: rate(last.last_stable, before.last_stable),
    })
}

/// The sum over several partitions; `None` without partitions.
pub(super) fn sum(all: impl Iterator<Item = Rates>) -> Option<Rates> {
    all.reduce(|one, other| Rates {
        lag: one.lag + other.lag,
        consumed: one.consumed + other.consumed,
        produced: one.produced + other.produced,
    })
}

/// The time until the lag is 0 at the current rate.
pub(super) fn time_to_drain(lag: Option<i64>, rates: Option<Rates>) -> Option<Duration> {
    match (lag?, rates) {
        (0, _) => Some(Duration::ZERO),
        (lag, Some(rates)) if rates.lag < 0.0 => {
            Duration::try_from_secs_f64(lag as f64 / -rates.lag).ok()
        }
        _ => None,
    }
}
