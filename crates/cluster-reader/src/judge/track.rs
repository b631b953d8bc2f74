//! A group on one partition, in time.

use chrono::{DateTime, TimeDelta, Utc};

use super::thin::{KEPT, thin};
use crate::{Ends, Lag, NoLag, PartitionLag};

/// How long a loss is told after the group has gone on behind it.
const LOSS_TOLD: TimeDelta = TimeDelta::minutes(5);

/// A group on one partition, in time. What nothing is known of has no past.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    points: Vec<Point>,
    /// Whether the offsets of the points were committed. Else they are where the partition ended when it was first seen with an
    /// owner: from there on that owner has records to read, wherever it began.
    is_committed: bool,
    /// The highest offset the group had committed before it went back; until it is there again.
    rewound_from: Option<(DateTime<Utc>, i64)>,
    loss: Option<(DateTime<Utc>, Loss)>,
}

/// One reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) at: DateTime<Utc>,
    pub(super) committed: i64,
    pub(super) readable: i64,
    /// The last stable offset: what comes before it can be read.
    pub(super) stable: i64,
}

/// Records deleted unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) records: i64,
    pub(super) committed: i64,
    pub(super) low: i64,
}

impl Track {
    pub(super) fn add(&mut self, now: DateTime<Utc>, found: &PartitionLag) {
        match (found.lag, found.committed, found.ends) {
            (Ok(lag), Some(committed), Some(ends)) => self.add_committed(now, committed, ends, lag),
            (Err(NoLag::NothingCommitted | NoLag::NoRecordYet), _, Some(ends))
                if found.owner.is_some() =>
            {
                self.add_uncommitted(now, ends);
            }
            _ => *self = Self::default(),
        }
    }

    fn add_committed(&mut self, now: DateTime<Utc>, committed: i64, ends: Ends, lag: Lag) {
        self.begin_anew_if(!self.is_committed || self.has_shrunk(ends));
        self.is_committed = true;
        let before = self.points.last().map(|last| last.committed);
        if let Some(before) = before.filter(|before| committed < *before) {
            let highest = self.rewound_from.map_or(0, |(_, offset)| offset);
            self.rewound_from = Some((now, before.max(highest)));
            // What was read before says nothing about what is read again.
            self.points.clear();
        }
        let told = |(at, offset): &(DateTime<Utc>, i64)| committed < *offset && now - *at <= KEPT;
        self.rewound_from = self.rewound_from.filter(told);
        if lag.lost > 0 {
            let loss = Loss {
                records: lag.lost,
                committed,
                low: ends.low,
            };
            self.loss = Some((now, loss));
        }
        self.loss = self.loss.filter(|(at, _)| now - *at <= LOSS_TOLD);
        self.push(Point {
            at: now,
            committed,
            readable: lag.readable,
            stable: ends.stable,
        });
    }

    fn add_uncommitted(&mut self, now: DateTime<Utc>, ends: Ends) {
        self.begin_anew_if(self.is_committed || self.has_shrunk(ends));
        let first = self
            .points
            .first()
            .map_or(ends.stable, |first| first.committed);
        self.push(Point {
            at: now,
            committed: first,
            readable: ends.stable.saturating_sub(first),
            stable: ends.stable,
        });
    }

    /// A log only grows. One that is shorter than it was is another one: the topic was made anew.
    fn has_shrunk(&self, ends: Ends) -> bool {
        self.points
            .last()
            .is_some_and(|last| ends.stable < last.stable)
    }

    fn begin_anew_if(&mut self, anew: bool) {
        if anew {
            *self = Self::default();
        }
    }

    /// Of points that differ in nothing but time, the first and the last say it all.
    fn push(&mut self, point: Point) {
        match self.points.as_mut_slice() {
            [.., first, last] if first.same(&point) && last.same(&point) => last.at = point.at,
            _ => {
                self.points.push(point);
                thin(&mut self.points, point.at, |one| one.at);
            }
        }
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// The last point, if it is of this moment.
    pub(super) fn now(&self, now: DateTime<Utc>) -> Option<&Point> {
        self.points.last().filter(|point| point.at == now)
    }

    /// How it was then: the last point until then, or the first of all if there is none so old.
    pub(super) fn then(&self, then: DateTime<Utc>) -> Option<&Point> {
        let until = self.points.partition_point(|point| point.at <= then);
        self.points.get(until.saturating_sub(1))
    }

    /// Since when the group stands at the offset it stands at, with records waiting all the time; `None` if nothing waits.
    pub(super) fn waiting_since(&self) -> Option<DateTime<Utc>> {
        let last = self.points.last()?;
        let stands = |point: &&Point| point.committed == last.committed && point.readable > 0;
        let standing = self.points.iter().rev().take_while(stands);
        standing.last().map(|point| point.at)
    }

    /// When the offset was first seen that is still the committed one.
    pub(super) fn committed_since(&self) -> Option<DateTime<Utc>> {
        let last = self.points.last()?;
        let same = |point: &&Point| point.committed == last.committed;
        let same = self.points.iter().rev().take_while(same);
        same.last().map(|point| point.at)
    }

    /// Whether the group has committed something after that moment.
    pub(super) fn moved_after(&self, then: DateTime<Utc>) -> bool {
        let (Some(before), Some(last)) = (self.then(then), self.points.last()) else {
            return false;
        };
        last.committed > before.committed
    }

    /// Where the group was before it went back, if it is not there again.
    pub(super) fn rewound_from(&self) -> Option<i64> {
        self.rewound_from.map(|(_, offset)| offset)
    }

    /// What was lost, now or a few minutes ago.
    pub(super) fn loss(&self) -> Option<Loss> {
        self.loss.map(|(_, loss)| loss)
    }
}

impl Point {
    fn same(&self, other: &Self) -> bool {
        (self.committed, self.readable, self.stable)
            == (other.committed, other.readable, other.stable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
        start + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_day_of_polls_costs_no_more_than_an_hour_of_them() {
        let start = DateTime::UNIX_EPOCH;
        for seconds in [1, 5, 300] {
            let mut track = Track::default();
            let polls = 86_400 / seconds;
            for n in 0..polls {
                track.push(Point {
                    at: after(start, n * seconds),
                    committed: n,
                    readable: 1,
                    stable: n + 1,
                });
            }
            let kept = track.points();
            assert!((4..=100).contains(&kept.len()), "{seconds}: {}", kept.len());
            assert_eq!(kept.last().unwrap().committed, polls - 1);
            let span = kept.last().unwrap().at - kept[0].at;
            assert!(span >= TimeDelta::minutes(14), "{seconds}: {span}");
            assert!(span <= TimeDelta::minutes(20), "{seconds}: {span}");
        }
    }

    #[test]
    fn a_partition_at_rest_costs_two_points_however_long_it_rests() {
        let start = DateTime::UNIX_EPOCH;
        let mut track = Track::default();
        for n in 0..10_000 {
            track.push(Point {
                at: after(start, n * 5),
                committed: 7,
                readable: 1,
                stable: 8,
            });
        }
        assert_eq!(track.points().len(), 2);
        assert_eq!(track.waiting_since(), Some(start));
    }
}
