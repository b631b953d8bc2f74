//! How a pair of group and topic was at each poll.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use cluster_reader::judge::{Judgement, Status};

use super::Pair;

/// Moments kept of one pair: as many as one call can ask for.
const MOST_OF_A_PAIR: usize = 1_000;

/// Moments kept of all pairs, about 4 MB. With very many pairs each has fewer.
const MOST: usize = 100_000;

/// A pair at one poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When it was read.
    pub timestamp: DateTime<Utc>,
    /// Readable records, where that is known.
    pub total_lag: Option<i64>,
    /// How it was doing.
    pub status: Status,
}

#[derive(Debug, Default)]
pub(super) struct Past(BTreeMap<Pair, VecDeque<Moment>>);

impl Past {
    /// A pair that is gone has no past any more.
    pub(super) fn add(&mut self, now: DateTime<Utc>, judged: &BTreeMap<Pair, Judgement>) {
        self.0.retain(|pair, _| judged.contains_key(pair));
        let most = (MOST / judged.len().max(1)).min(MOST_OF_A_PAIR);
        for (pair, judgement) in judged {
            if !self.0.contains_key(pair) {
                self.0.insert(pair.clone(), VecDeque::new());
            }
            if let Some(moments) = self.0.get_mut(pair) {
                moments.push_back(Moment {
                    timestamp: now,
                    total_lag: judgement.total_lag,
                    status: judgement.status(),
                });
                moments.drain(..moments.len().saturating_sub(most));
            }
        }
    }

    pub(super) fn last(&self, pair: &Pair, limit: usize) -> Vec<Moment> {
        let moments = self.0.get(pair);
        moments.map_or_else(Vec::new, |moments| {
            let skipped = moments.len().saturating_sub(limit);
            moments.iter().skip(skipped).copied().collect()
        })
    }
}
