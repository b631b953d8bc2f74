//! How fast.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::history::History;
use super::track::Track;

/// Over how long a rate is taken; at least from one reading to the next. Longer, and a burst would hide for that long that it is
/// already being read.
const WINDOW: TimeDelta = TimeDelta::seconds(15);

/// Records a second, over the last 15 seconds or from the reading before to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// How the lag changes: positive while it grows.
    pub lag: f64,
    /// By how much committed offsets advance. Markers of transactions count as records here.
    pub consumed: f64,
    /// By how much partitions grow that can be read (last stable offset). Markers of transactions count as records here.
    pub produced: f64,
}

/// From when on a rate is taken; `None` after a single reading.
pub(super) fn window_start(history: &History) -> Option<DateTime<Utc>> {
    let (now, before) = history.readings().split_last()?;
    let within = before.iter().find(|at| *now - **at <= WINDOW);
    within.or(before.last()).copied()
}

/// The rates on one partition from the first point since then, or the point before the last, to the last; `None` if it was read
/// but once.
pub(super) fn since(track: &Track, then: DateTime<Utc>, now: DateTime<Utc>) -> Option<Rates> {
    let last = track.now(now)?;
    let (_, points) = track.points().split_last()?;
    let within = points.iter().find(|point| point.at >= then);
    let before = within.or(points.last())?;
    let seconds = (now - before.at).as_seconds_f64();
    let rate = |new: i64, old: i64| new.saturating_sub(old) as f64 / seconds;
    Some(Rates {
        lag: rate(last.readable, before.readable),
        consumed: rate(last.committed, before.committed),
        produced: rate(last.stable, before.stable),
    })
}

/// Over several partitions; `None` over none.
pub(super) fn sum(all: impl Iterator<Item = Rates>) -> Option<Rates> {
    all.reduce(|one, other| Rates {
        lag: one.lag + other.lag,
        consumed: one.consumed + other.consumed,
        produced: one.produced + other.produced,
    })
}

/// How long it takes until nothing waits any more.
pub(super) fn time_to_drain(lag: Option<i64>, rates: Option<Rates>) -> Option<Duration> {
    match (lag?, rates) {
        (0, _) => Some(Duration::ZERO),
        (lag, Some(rates)) if rates.lag < 0.0 => {
            Duration::try_from_secs_f64(lag as f64 / -rates.lag).ok()
        }
        _ => None,
    }
}
