//! Limits how many readings are kept: the older they are, the farther apart.

use chrono::{DateTime, TimeDelta, Utc};

/// Readings older than this are dropped.
pub(super) const KEPT: TimeDelta = TimeDelta::minutes(15);

/// The least distance of readings that are younger than [`FINE_FOR`], and of older ones.
const FINE: TimeDelta = TimeDelta::seconds(2);
const FINE_FOR: TimeDelta = TimeDelta::seconds(60);
const COARSE: TimeDelta = TimeDelta::seconds(15);

/// The newest readings that are kept however old they are. A poll interval of five minutes would
/// leave too few otherwise.
const AT_LEAST: usize = 4;

/// Drops readings that are too old or too close to the one before. The newest is always kept.
pub(super) fn downsample<T>(
    readings: &mut Vec<T>,
    now: DateTime<Utc>,
    time: impl Fn(&T) -> DateTime<Utc>,
) {
    let mut younger = readings.len();
    let mut kept: Option<DateTime<Utc>> = None;
    readings.retain(|reading| {
        younger -= 1;
        let at = time(reading);
        let age = now - at;
        let distance = if age > FINE_FOR { COARSE } else { FINE };
        let is_close = kept.is_some_and(|before| at - before < distance);
        let is_expired = age > KEPT && younger >= AT_LEAST;
        let keep = younger == 0 || !(is_close || is_expired);
        if keep {
            kept = Some(at);
        }
        keep
    });
}
