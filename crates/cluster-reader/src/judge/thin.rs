//! How many readings are kept: all that lie apart, fewer the older they are.

use chrono::{DateTime, TimeDelta, Utc};

/// How far back.
pub(super) const KEPT: TimeDelta = TimeDelta::minutes(15);

/// Within the last [`FINE_FOR`] a point is kept every so often, before that every [`COARSE`].
const FINE: TimeDelta = TimeDelta::seconds(2);
const FINE_FOR: TimeDelta = TimeDelta::seconds(60);
const COARSE: TimeDelta = TimeDelta::seconds(15);

/// Readings kept however old they are: at the slowest poll, five minutes, there would be too few otherwise.
const AT_LEAST: usize = 4;

/// Drops what is too old and what lies too close together. The newest always stays.
pub(super) fn thin<T>(points: &mut Vec<T>, now: DateTime<Utc>, at: impl Fn(&T) -> DateTime<Utc>) {
    let mut younger = points.len();
    let mut kept: Option<DateTime<Utc>> = None;
    points.retain(|point| {
        younger -= 1;
        let (at, age) = (at(point), now - at(point));
        let apart = if age > FINE_FOR { COARSE } else { FINE };
        let crowded = kept.is_some_and(|before| at - before < apart);
        let expired = age > KEPT && younger >= AT_LEAST;
        let keep = younger == 0 || !(crowded || expired);
        if keep {
            kept = Some(at);
        }
        keep
    });
}
