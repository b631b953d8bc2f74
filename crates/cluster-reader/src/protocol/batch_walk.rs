//! Counts records, markers and aborted records by a walk over the headers of record batches.

use std::collections::HashSet;
use std::ops::{Add, AddAssign};

use super::record_batch::{Batch, Batches};
use super::record_timestamp::{self, Oldest};

/// The offsets of a range by what is at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Records that a `read_committed` consumer receives.
    pub records: i64,
    /// Commit and abort markers.
    pub control: i64,
    /// Records of aborted transactions.
    pub aborted: i64,
    /// Nothing: compaction has removed what was there.
    pub removed: i64,
}

impl Counts {
    /// The number of offsets.
    pub fn offsets(self) -> i64 {
        self.records + self.control + self.aborted + self.removed
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            control: self.control + other.control,
            aborted: self.aborted + other.aborted,
            removed: self.removed + other.removed,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// A batch, and the offsets from the end of the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalkedBatch<'a> {
    /// All offsets before this one were walked over.
    pub end: i64,
    /// The offsets since the end of the batch before.
    pub counts: Counts,
    /// The size of the batch.
    pub bytes: usize,
    /// The batch, and the first offset that is wanted of it. `None` if the range ends before it.
    batch: Option<(Batch<'a>, i64)>,
}

impl WalkedBatch<'_> {
    /// The timestamp of the first record that a `read_committed` consumer receives. This may
    /// decompress the batch.
    pub fn oldest(&self) -> Oldest {
        match self.batch {
            Some((batch, from)) if self.counts.records > 0 => {
                record_timestamp::first_from(&batch, from)
            }
            _ => Oldest::NotReached,
        }
    }
}

/// A walk over the batches that Fetch returned, from one offset to another, exclusive.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    batches: Batches<'a>,
    transactions: AbortedTransactions,
    reached: i64,
    end: i64,
}

impl<'a> Walk<'a> {
    /// `aborted` are the aborted transactions of the same response, as producer id and first offset.
    pub fn new(bytes: &'a [u8], aborted: &[(i64, i64)], from: i64, end: i64) -> Self {
        Self {
            batches: Batches::new(bytes),
            transactions: AbortedTransactions::new(aborted),
            reached: from,
            end,
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = WalkedBatch<'a>;

    fn next(&mut self) -> Option<WalkedBatch<'a>> {
        while self.reached < self.end {
            let batch = self.batches.next()?;
            let is_aborted = self.transactions.advance(&batch);
            if batch.last < self.reached {
                continue;
            }
            let from = self.reached;
            if batch.base >= self.end {
                // Compaction has removed all batches up to the end.
                self.reached = self.end;
                let removed = self.end - from;
                return Some(WalkedBatch {
                    end: self.end,
                    counts: Counts {
                        removed,
                        ..Counts::default()
                    },
                    bytes: 0,
                    batch: None,
                });
            }
            let found = records_between(&batch, from, self.end);
            self.reached = batch.last.saturating_add(1).min(self.end);
            let mut counts = Counts {
                removed: self.reached - from - found,
                ..Counts::default()
            };
            match (batch.is_control(), is_aborted) {
                (true, _) => counts.control = found,
                (false, true) => counts.aborted = found,
                (false, false) => counts.records = found,
            }
            return Some(WalkedBatch {
                end: self.reached,
                counts,
                bytes: batch.size(),
                batch: Some((batch, from)),
            });
        }
        None
    }
}

/// The records of the batch from one offset to another, exclusive. The header has the number for
/// the whole batch. If compaction has removed some, the records are read to count a part of them.
fn records_between(batch: &Batch<'_>, from: i64, end: i64) -> i64 {
    let offsets = batch.count_between(from, end);
    let count = i64::from(batch.count);
    let all = batch.last - batch.base + 1;
    if count >= all {
        return offsets;
    }
    if offsets == all {
        return count;
    }
    let read = record_timestamp::count_between(batch, from, end);
    read.unwrap_or(count).min(offsets)
}

/// The producers whose current transaction is aborted.
#[derive(Debug)]
struct AbortedTransactions {
    /// Transactions that begin further on: producer id and first offset, the last one first.
    ahead: Vec<(i64, i64)>,
    /// Producer ids.
    current: HashSet<i64>,
}

impl AbortedTransactions {
    fn new(aborted: &[(i64, i64)]) -> Self {
        let mut ahead = aborted.to_vec();
        ahead.sort_by_key(|(_, first)| std::cmp::Reverse(*first));
        Self {
            ahead,
            current: HashSet::new(),
        }
    }

    /// Moves past the batch. Returns whether its records are aborted: a transaction ends at the next
    /// control batch of its producer.
    fn advance(&mut self, batch: &Batch) -> bool {
        while let Some((producer, _)) = self.ahead.pop_if(|(_, first)| *first <= batch.last) {
            self.current.insert(producer);
        }
        if batch.is_control() {
            self.current.remove(&batch.producer_id);
        }
        batch.is_transactional() && !batch.is_control() && self.current.contains(&batch.producer_id)
    }
}

#[cfg(test)]
mod tests;
