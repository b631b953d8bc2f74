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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::test_log::{TestBatch, log, marker, plain, transactional};

    #[derive(Clone, Copy)]
    struct Walked {
        counts: Counts,
        reached: i64,
        oldest: Oldest,
    }

    fn walk(bytes: &[u8], aborted: &[(i64, i64)], from: i64, end: i64) -> Walked {
        let mut all = Walked {
            counts: Counts::default(),
            reached: from,
            oldest: Oldest::NotReached,
        };
        for batch in Walk::new(bytes, aborted, from, end) {
            all.counts += batch.counts;
            all.reached = batch.end;
            if all.oldest == Oldest::NotReached {
                all.oldest = batch.oldest();
            }
        }
        assert_eq!(all.counts.offsets(), all.reached - from, "{:?}", all.counts);
        all
    }

    /// Markers, aborted records, and the offset that was reached.
    fn counts(walked: Walked) -> (i64, i64, i64) {
        (walked.counts.control, walked.counts.aborted, walked.reached)
    }

    #[test]
    fn control_and_aborted_records_are_counted_and_others_are_not() {
        let log = log(&[
            plain(0, 5),
            transactional(7, 5, 3),
            marker(7, 8),
            transactional(7, 9, 2),
            marker(7, 11),
        ]);
        let walked = walk(&log, &[(7, 5)], 0, 12);
        assert_eq!(counts(walked), (2, 3, 12));
        assert_eq!(walked.oldest, Oldest::At(1_000));
    }

    #[test]
    fn a_transaction_is_aborted_until_the_next_marker_of_its_producer() {
        let log = log(&[
            transactional(7, 0, 1),
            marker(7, 1),
            transactional(7, 2, 1),
            transactional(8, 3, 1),
            plain(4, 1),
            marker(8, 5),
            transactional(7, 6, 1),
            marker(7, 7),
            transactional(7, 8, 1),
            marker(7, 9),
        ]);
        let walked = walk(&log, &[(7, 2)], 0, 10);
        assert_eq!(counts(walked), (4, 2, 10));
        let both = walk(&log, &[(7, 8), (8, 3), (7, 2)], 0, 10);
        assert_eq!(counts(both), (4, 4, 10));
    }

    #[test]
    fn a_batch_before_the_committed_offset_counts_only_its_rest() {
        let log = log(&[transactional(7, 0, 10), marker(7, 10)]);
        let walked = walk(&log, &[(7, 0)], 6, 11);
        assert_eq!(counts(walked), (1, 4, 11));
        assert_eq!(counts(walk(&log, &[(7, 0)], 6, 9)), (0, 3, 9));
    }

    #[test]
    fn offsets_without_a_record_are_no_records() {
        let compacted = TestBatch {
            last_delta: 9,
            ..plain(10, 2)
        };
        let empty = TestBatch {
            count: 0,
            last_delta: 4,
            ..plain(20, 1)
        };
        let log = log(&[plain(0, 5), compacted, empty, marker(7, 40)]);
        let counted = |from, end| {
            let counts = walk(&log, &[], from, end).counts;
            (counts.records, counts.control, counts.removed)
        };
        assert_eq!(counted(0, 41), (7, 1, 33));
        assert_eq!(counted(3, 30), (4, 0, 23));
        assert_eq!(counted(30, 40), (0, 0, 10));
        // The records of the batch are not valid, so its part cannot be counted.
        assert_eq!(counted(12, 20), (2, 0, 6));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_not_reached() {
        let whole = log(&[plain(0, 5), marker(7, 5)]);
        for cut in 1..70 {
            let walked = walk(&whole[..whole.len() - cut], &[], 0, 6);
            assert_eq!(counts(walked), (0, 0, 5), "{cut} bytes cut");
        }
        assert_eq!(counts(walk(&[], &[], 3, 6)), (0, 0, 3));
    }

    #[test]
    fn log_append_time_is_the_newest_timestamp_of_a_batch() {
        let append = TestBatch {
            attributes: 1 << 3,
            ..plain(0, 5)
        };
        assert_eq!(walk(&log(&[append]), &[], 2, 5).oldest, Oldest::At(9_000));
        let empty = TestBatch {
            count: 0,
            last_delta: 4,
            ..plain(0, 1)
        };
        let walked = walk(&log(&[empty, plain(5, 1)]), &[], 0, 6);
        assert_eq!(walked.oldest, Oldest::At(1_005));
    }

    #[test]
    fn a_record_within_invalid_bytes_has_no_known_timestamp() {
        assert_eq!(
            walk(&log(&[plain(0, 5)]), &[], 2, 5).oldest,
            Oldest::Unknown
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_a_panic_and_within_bounds(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            aborted in prop::collection::vec((any::<i64>(), any::<i64>()), 0..5),
            from in 0i64..1000, length in 0i64..1000,
        ) {
            let walked = walk(&bytes, &aborted, from, from + length);
            prop_assert!((from..=from + length).contains(&walked.reached));
            let Counts { records, control, aborted, removed } = walked.counts;
            prop_assert!([records, control, aborted, removed].iter().all(|one| *one >= 0));
        }

        #[test]
        fn a_damaged_log_is_walked_without_a_panic_and_within_bounds(
            changes in prop::collection::vec((0usize..355, any::<u8>()), 0..6),
            from in 0i64..20, length in 0i64..20,
        ) {
            let mut bytes = log(&[plain(0, 5), transactional(7, 5, 3), marker(7, 8), transactional(7, 9, 2), marker(7, 11)]);
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let walked = walk(&bytes, &[(7, 5)], from, from + length);
            prop_assert!((from..=from + length).contains(&walked.reached));
            let Counts { records, control, aborted, removed } = walked.counts;
            prop_assert!([records, control, aborted, removed].iter().all(|one| *one >= 0));
        }
    }
}
