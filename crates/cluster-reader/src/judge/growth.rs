//! What came into the partitions of a topic lately, whoever reads it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::thin::KEPT;
use crate::Ends;

/// How far apart the readings are that are kept.
const APART: TimeDelta = TimeDelta::seconds(60);

/// The last stable offsets of a topic's partitions, in time.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    readings: Vec<(DateTime<Utc>, BTreeMap<i32, i64>)>,
    now: BTreeMap<i32, i64>,
}

impl Growth {
    /// A topic that is seen for the first time: all that is in it has come in by now.
    pub(super) fn from(now: DateTime<Utc>, partitions: &BTreeMap<i32, Ends>) -> Self {
        let begins = partitions.iter().map(|(number, ends)| (*number, ends.low));
        Self {
            readings: vec![(now, begins.collect())],
            now: stable(partitions),
        }
    }

    pub(super) fn add(&mut self, now: DateTime<Utc>, partitions: &BTreeMap<i32, Ends>) {
        let ends = stable(partitions);
        let shrunk = |(number, end): (&i32, &i64)| ends.get(number).is_none_or(|new| new < end);
        if self.now.iter().any(shrunk) {
            *self = Self::from(now, partitions);
            return;
        }
        let last = self.readings.last().map(|(at, _)| *at);
        if last.is_none_or(|at| now - at >= APART) {
            self.readings.push((now, ends.clone()));
        }
        // The newest of those that are too old is where the span that is looked at begins.
        let old = self.readings.partition_point(|(at, _)| now - *at >= KEPT);
        self.readings.drain(..old.saturating_sub(1));
        self.now = ends;
    }

    /// Records and markers that came into this partition, and into all of the topic, within the last quarter of an hour.
    pub(super) fn of(&self, partition: i32) -> (i64, i64) {
        let first = self.readings.first().map(|(_, ends)| ends);
        let came = |(number, now): (&i32, &i64)| {
            let before = first.and_then(|first| first.get(number)).unwrap_or(&0);
            (*number, now.saturating_sub(*before))
        };
        let came: BTreeMap<i32, i64> = self.now.iter().map(came).collect();
        let all = came.values().copied().fold(0, i64::saturating_add);
        (came.get(&partition).copied().unwrap_or(0), all)
    }
}

fn stable(partitions: &BTreeMap<i32, Ends>) -> BTreeMap<i32, i64> {
    let ends = partitions.iter();
    ends.map(|(number, ends)| (*number, ends.stable)).collect()
}
