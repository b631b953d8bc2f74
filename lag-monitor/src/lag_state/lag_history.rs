//! The lag of each group on each topic at every poll.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{GroupHealth, Status};
use cluster_reader::{LagCount, PartitionLag, Snapshot, TopicPartition};

use super::GroupTopic;

/// Most samples of one pair: as many as one request can ask for.
const MAX_SAMPLES_PER_PAIR: usize = 1_000;

/// Most numbers in the history of all pairs, about 4 MB: a sample has one number of the pair and
/// one of each partition. With very many pairs or partitions each pair has fewer samples.
const MAX_NUMBERS: usize = 100_000;

/// A pair of group and topic at one poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LagSample {
    pub timestamp: DateTime<Utc>,
    /// `None` if unknown.
    pub total_lag: Option<LagCount>,
    pub status: Status,
    /// Partition number and lag; the lag is `None` if unknown.
    pub partitions: Vec<(i32, Option<LagCount>)>,
}

#[derive(Debug, Default)]
pub(super) struct LagHistory(BTreeMap<GroupTopic, VecDeque<LagSample>>);

impl LagHistory {
    /// Adds a sample of each pair in `health`. The history of any other pair is deleted.
    pub(super) fn add(&mut self, snapshot: &Snapshot, health: &BTreeMap<GroupTopic, GroupHealth>) {
        self.0.retain(|pair, _| health.contains_key(pair));
        let now: Vec<(&GroupTopic, LagSample)> = health
            .iter()
            .map(|(pair, health)| (pair, sample(snapshot, pair, health)))
            .collect();
        let numbers: usize = now.iter().map(|(_, one)| 1 + one.partitions.len()).sum();
        let limit = (MAX_NUMBERS / numbers.max(1)).clamp(1, MAX_SAMPLES_PER_PAIR);
        for (pair, sample) in now {
            if !self.0.contains_key(pair) {
                self.0.insert(pair.clone(), VecDeque::new());
            }
            if let Some(samples) = self.0.get_mut(pair) {
                samples.push_back(sample);
                samples.drain(..samples.len().saturating_sub(limit));
            }
        }
    }

    pub(super) fn last(&self, pair: &GroupTopic, limit: usize) -> Vec<LagSample> {
        let samples = self.0.get(pair);
        samples.map_or_else(Vec::new, |samples| {
            let skipped = samples.len().saturating_sub(limit);
            samples.iter().skip(skipped).cloned().collect()
        })
    }
}

fn sample(snapshot: &Snapshot, pair: &GroupTopic, health: &GroupHealth) -> LagSample {
    LagSample {
        timestamp: snapshot.taken_at,
        total_lag: health.total_lag,
        status: health.status(),
        partitions: partitions(snapshot, pair)
            .map(|(at, partition)| (at.partition, partition.lag.ok().map(|lag| lag.readable)))
            .collect(),
    }
}

/// The partitions of a pair, ordered by number.
pub fn partitions<'a>(
    snapshot: &'a Snapshot,
    pair: &'a GroupTopic,
) -> impl Iterator<Item = (&'a TopicPartition, &'a PartitionLag)> {
    let group = snapshot.groups.get(&pair.group).into_iter();
    let all = group.flat_map(|group| &group.partitions);
    all.filter(|(at, _)| at.topic == pair.topic)
}
