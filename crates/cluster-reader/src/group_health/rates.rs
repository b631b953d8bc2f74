//! Rates of lag, consumption and production, in records.
//!
//! A rate is the difference of two numbers that were both counted exactly. A bound that becomes
//! narrower looks like progress and is none.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::history::History;
use super::partition_history::{PartitionHistory, Sample};
use crate::LagCount;

/// The time span of a rate, unless two readings are farther apart. With a longer span a burst would
/// still look like growth while it is already being read.
const WINDOW: TimeDelta = TimeDelta::seconds(15);

/// Records per second over the last 15 seconds, or between the last two readings if they are
/// farther apart. Markers and aborted records do not count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// The change of the lag: positive while it grows.
    pub lag: f64,
    /// Records between the committed offsets.
    pub consumed: f64,
    /// Records between the last stable offsets.
    pub produced: f64,
}

impl Rates {
    /// The sum over several partitions; `None` without partitions, or if a rate is unknown.
    pub fn sum(all: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        all.reduce(|one, other| {
            let (one, other) = (one?, other?);
            Some(Self {
                lag: one.lag + other.lag,
                consumed: one.consumed + other.consumed,
                produced: one.produced + other.produced,
            })
        })?
    }

    /// The time until the lag is 0 at the current rate: zero if it is 0. `None` unless the lag is
    /// exact, the committed offset has advanced, and the lag shrinks.
    pub fn time_to_drain(rates: Option<Self>, lag: LagCount) -> Option<Duration> {
        match (lag.exact()?, rates) {
            (0, _) => Some(Duration::ZERO),
            (lag, Some(rates)) if rates.consumed > 0.0 && rates.lag < 0.0 => {
                Duration::try_from_secs_f64(lag as f64 / -rates.lag).ok()
            }
            _ => None,
        }
    }
}

/// The start of the time span of rates; `None` after a single reading.
pub(super) fn window_start(history: &History) -> Option<DateTime<Utc>> {
    let (now, before) = history.readings().split_last()?;
    let within = before.iter().find(|at| *now - **at <= WINDOW);
    within.or(before.last()).copied()
}

/// The numbers of a sample in which everything was counted: the origin of the count, the records
/// written since, and those that wait.
fn counted(sample: &Sample) -> Option<(u64, i64, i64)> {
    let written = sample.written?;
    Some((written.origin, written.records, sample.readable.exact()?))
}

/// The rates on a partition from the first complete sample at or after `then`, or else from the
/// last complete one before. `None` if there is none, or if the last sample is not complete.
pub(super) fn since(
    history: &PartitionHistory,
    then: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Rates> {
    let last = history.sample_of(now)?;
    let (origin, written, readable) = counted(last)?;
    let (_, samples) = history.samples().split_last()?;
    // Records that were deleted meanwhile are neither consumed nor unread.
    let is_deleted = |sample: &Sample| last.log_start > sample.committed;
    let complete = |sample: &&Sample| {
        counted(sample).is_some_and(|(from, ..)| from == origin) && !is_deleted(sample)
    };
    let within = samples.iter().filter(|sample| sample.at >= then);
    let before = within.clone().find(complete);
    let before = before.or_else(|| samples.iter().rev().find(complete))?;
    let (_, written_before, readable_before) = counted(before)?;
    let produced = written.saturating_sub(written_before);
    let grown = readable.saturating_sub(readable_before);
    let seconds = (now - before.at).as_seconds_f64();
    // Compaction may remove records after they were counted.
    let consumed = produced.saturating_sub(grown).max(0);
    Some(Rates {
        lag: grown as f64 / seconds,
        consumed: consumed as f64 / seconds,
        produced: produced as f64 / seconds,
    })
}
