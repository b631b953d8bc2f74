//! How much was written to the partitions of a topic lately, whichever group reads it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::downsample::KEPT;
use crate::LogOffsets;

/// The distance of the readings that are kept.
const DISTANCE: TimeDelta = TimeDelta::seconds(60);

/// Offsets by partition number.
type Offsets = BTreeMap<i32, i64>;

/// The last stable offsets of a topic's partitions over time.
#[derive(Debug, Clone, Default)]
pub(super) struct TopicInflow {
    readings: Vec<(DateTime<Utc>, Offsets)>,
    latest: Offsets,
}

impl TopicInflow {
    /// The first reading of a topic. All records that it holds count as written just now.
    pub(super) fn new(now: DateTime<Utc>, partitions: &BTreeMap<i32, LogOffsets>) -> Self {
        let starts = partitions
            .iter()
            .map(|(number, log)| (*number, log.log_start));
        Self {
            readings: vec![(now, starts.collect())],
            latest: last_stable(partitions),
        }
    }

    /// Adds a reading. If an offset went back the topic was recreated, and the history restarts.
    pub(super) fn add(&mut self, now: DateTime<Utc>, partitions: &BTreeMap<i32, LogOffsets>) {
        let latest = last_stable(partitions);
        let has_shrunk =
            |(number, before): (&i32, &i64)| latest.get(number).is_none_or(|now| now < before);
        if self.latest.iter().any(has_shrunk) {
            *self = Self::new(now, partitions);
            return;
        }
        let last = self.readings.last().map(|(at, _)| *at);
        if last.is_none_or(|at| now - at >= DISTANCE) {
            self.readings.push((now, latest.clone()));
        }
        // The newest expired reading is kept: the time span that is looked at begins there.
        let expired = self.readings.partition_point(|(at, _)| now - *at >= KEPT);
        self.readings.drain(..expired.saturating_sub(1));
        self.latest = latest;
    }

    /// Records and markers written within the last 15 minutes: to this partition, and to all
    /// partitions of the topic.
    pub(super) fn of(&self, partition: i32) -> (i64, i64) {
        let first = self.readings.first().map(|(_, offsets)| offsets);
        let written = |(number, now): (&i32, &i64)| {
            let before = first.and_then(|first| first.get(number)).unwrap_or(&0);
            (*number, now.saturating_sub(*before))
        };
        let written: Offsets = self.latest.iter().map(written).collect();
        let all = written.values().copied().fold(0, i64::saturating_add);
        (written.get(&partition).copied().unwrap_or(0), all)
    }
}

fn last_stable(partitions: &BTreeMap<i32, LogOffsets>) -> Offsets {
    let logs = partitions.iter();
    logs.map(|(number, log)| (*number, log.last_stable))
        .collect()
}
