//! What is kept of the snapshots: the last one whole, and of those before a few figures for each group and partition.
//!
//! For 50 groups and 500 partitions that all move this is about 2 MB. A partition on which nothing happens costs two points,
//! however long it rests.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{PartitionLag, Snapshot, TopicPartition};

/// How far back.
const KEPT: TimeDelta = TimeDelta::minutes(15);

/// Within the last [`FINE_FOR`] a point is kept every so often, before that every [`COARSE`].
const FINE: TimeDelta = TimeDelta::seconds(2);
const FINE_FOR: TimeDelta = TimeDelta::seconds(60);
const COARSE: TimeDelta = TimeDelta::seconds(15);

/// Readings kept however old they are: at the slowest poll, five minutes, there would be too few otherwise.
const AT_LEAST: usize = 4;

/// How long a loss is told after the group has gone on behind it.
const LOSS_TOLD: TimeDelta = TimeDelta::minutes(5);

/// Partitions of groups that are followed. Those beyond it have no rates, and are judged by their last reading alone.
const MOST_TRACKS: usize = 20_000;

/// The readings of a cluster, from a while ago until now.
#[derive(Debug, Clone, Default)]
pub struct History {
    latest: Option<Snapshot>,
    readings: Vec<DateTime<Utc>>,
    groups: BTreeMap<String, Tracks>,
}

/// A group's partitions in time.
pub(super) type Tracks = BTreeMap<TopicPartition, Track>;

/// A group on one partition, in time.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    points: Vec<Point>,
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

impl History {
    /// Takes a snapshot in. One that is not later than the last begins a new history: somebody has set the clock.
    pub fn add(&mut self, snapshot: Snapshot) {
        let now = snapshot.taken_at;
        if self
            .latest
            .as_ref()
            .is_some_and(|last| now <= last.taken_at)
        {
            self.readings.clear();
            self.groups.clear();
        }
        self.readings.push(now);
        thin(&mut self.readings, now, |at| *at);
        let is_there = |name: &String, _: &mut Tracks| snapshot.groups.contains_key(name);
        self.groups.retain(is_there);
        let mut room = MOST_TRACKS.saturating_sub(self.groups.values().map(Tracks::len).sum());
        for (name, group) in &snapshot.groups {
            if !self.groups.contains_key(name) {
                self.groups.insert(name.clone(), Tracks::new());
            }
            let Some(tracks) = self.groups.get_mut(name) else {
                continue;
            };
            tracks.retain(|partition, _| group.partitions.contains_key(partition));
            for (partition, lag) in &group.partitions {
                if let Some(track) = tracks.get_mut(partition) {
                    track.add(now, lag);
                } else if room > 0 {
                    room -= 1;
                    let mut track = Track::default();
                    track.add(now, lag);
                    tracks.insert(partition.clone(), track);
                }
            }
        }
        self.latest = Some(snapshot);
    }

    /// The last snapshot.
    pub fn latest(&self) -> Option<&Snapshot> {
        self.latest.as_ref()
    }

    /// When the readings that are kept were taken, in order.
    pub(super) fn readings(&self) -> &[DateTime<Utc>] {
        &self.readings
    }

    pub(super) fn tracks(&self, group: &str) -> Option<&Tracks> {
        self.groups.get(group)
    }
}

impl Track {
    fn add(&mut self, now: DateTime<Utc>, lag: &PartitionLag) {
        let (Some(committed), Some(ends), Ok(lag)) = (lag.committed, lag.ends, lag.lag) else {
            return;
        };
        if let Some(last) = self.points.last().copied() {
            let went_back = committed < last.committed;
            if went_back {
                let before = self.rewound_from.map_or(0, |(_, offset)| offset);
                self.rewound_from = Some((now, last.committed.max(before)));
            }
            // What was before does not compare with what comes: the group reads again, or the topic was made anew.
            if went_back || ends.stable < last.stable {
                self.points.clear();
            }
        }
        self.rewound_from = self
            .rewound_from
            .filter(|(at, offset)| committed < *offset && now - *at <= KEPT);
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

/// Drops what is too old and what lies too close together. The newest always stays.
fn thin<T>(points: &mut Vec<T>, now: DateTime<Utc>, at: impl Fn(&T) -> DateTime<Utc>) {
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
