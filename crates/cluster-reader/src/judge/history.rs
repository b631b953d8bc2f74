//! What is kept of the snapshots: the last one whole, and of those before a few figures for each group and partition.
//!
//! For 50 groups and 500 partitions that all move this is about 2 MB. A partition on which nothing happens costs two points,
//! however long it rests.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::growth::Growth;
use super::thin::thin;
use super::track::Track;
use crate::{Snapshot, TopicPartition};

/// Partitions of groups that are followed. Those beyond it have no rates, and are judged by their last reading alone.
const MOST_TRACKS: usize = 20_000;

/// The readings of a cluster, from a while ago until now.
#[derive(Debug, Clone, Default)]
pub struct History {
    latest: Option<Snapshot>,
    readings: Vec<DateTime<Utc>>,
    groups: BTreeMap<String, Tracks>,
    topics: BTreeMap<String, Growth>,
}

/// A group's partitions in time.
pub(super) type Tracks = BTreeMap<TopicPartition, Track>;

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
            self.topics.clear();
        }
        self.readings.push(now);
        thin(&mut self.readings, now, |at| *at);
        self.grow(&snapshot);
        self.follow(&snapshot);
        self.latest = Some(snapshot);
    }

    fn grow(&mut self, snapshot: &Snapshot) {
        self.topics
            .retain(|name, _| snapshot.topics.contains_key(name));
        for (name, partitions) in snapshot.topics.iter().take(MOST_TRACKS) {
            match self.topics.get_mut(name) {
                Some(growth) => growth.add(snapshot.taken_at, partitions),
                None => {
                    let growth = Growth::from(snapshot.taken_at, partitions);
                    self.topics.insert(name.clone(), growth);
                }
            }
        }
    }

    fn follow(&mut self, snapshot: &Snapshot) {
        let now = snapshot.taken_at;
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

    pub(super) fn growth(&self, topic: &str) -> Option<&Growth> {
        self.topics.get(topic)
    }
}
