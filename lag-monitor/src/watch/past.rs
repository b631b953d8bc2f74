//! How a pair of group and topic was at each poll.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use cluster_reader::judge::{Judgement, Status};
use cluster_reader::{PartitionLag, Snapshot, TopicPartition};

use super::Pair;

/// Moments kept of one pair: as many as one call can ask for.
const MOST_OF_A_PAIR: usize = 1_000;

/// Figures kept of all pairs, about 4 MB: a moment has one of the pair and one of each partition. With very many pairs or
/// partitions each pair has fewer moments.
const MOST: usize = 100_000;

/// A pair at one poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When it was read.
    pub timestamp: DateTime<Utc>,
    /// Readable records, where that is known.
    pub total_lag: Option<i64>,
    /// How it was doing.
    pub status: Status,
    /// Readable records of each partition, by number; `None` where it was not known.
    pub partitions: Vec<(i32, Option<i64>)>,
}

#[derive(Debug, Default)]
pub(super) struct Past(BTreeMap<Pair, VecDeque<Moment>>);

impl Past {
    /// A pair that is gone has no past any more.
    pub(super) fn add(&mut self, snapshot: &Snapshot, judged: &BTreeMap<Pair, Judgement>) {
        self.0.retain(|pair, _| judged.contains_key(pair));
        let now: Vec<(&Pair, Moment)> = judged
            .iter()
            .map(|(pair, judgement)| (pair, moment(snapshot, pair, judgement)))
            .collect();
        let figures: usize = now.iter().map(|(_, one)| 1 + one.partitions.len()).sum();
        let most = (MOST / figures.max(1)).clamp(1, MOST_OF_A_PAIR);
        for (pair, moment) in now {
            if !self.0.contains_key(pair) {
                self.0.insert(pair.clone(), VecDeque::new());
            }
            if let Some(moments) = self.0.get_mut(pair) {
                moments.push_back(moment);
                moments.drain(..moments.len().saturating_sub(most));
            }
        }
    }

    pub(super) fn last(&self, pair: &Pair, limit: usize) -> Vec<Moment> {
        let moments = self.0.get(pair);
        moments.map_or_else(Vec::new, |moments| {
            let skipped = moments.len().saturating_sub(limit);
            moments.iter().skip(skipped).cloned().collect()
        })
    }
}

fn moment(snapshot: &Snapshot, pair: &Pair, judgement: &Judgement) -> Moment {
    Moment {
        timestamp: snapshot.taken_at,
        total_lag: judgement.total_lag,
        status: judgement.status(),
        partitions: partitions(snapshot, pair)
            .map(|(at, found)| (at.partition, found.lag.ok().map(|lag| lag.readable)))
            .collect(),
    }
}

/// The partitions of a pair, in order.
pub fn partitions<'a>(
    snapshot: &'a Snapshot,
    pair: &'a Pair,
) -> impl Iterator<Item = (&'a TopicPartition, &'a PartitionLag)> {
    let group = snapshot.groups.get(&pair.group).into_iter();
    let all = group.flat_map(|group| &group.partitions);
    all.filter(|(at, _)| at.topic == pair.topic)
}
