//! Counts markers and aborted records by a walk over the headers of record batches.

use std::collections::HashSet;

use super::record_batch::{Batch, Batches};
use super::record_timestamp::{self, Oldest};

/// What a walk has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalkResult {
    /// All offsets before this one were walked over.
    pub reached: i64,
    /// Commit and abort markers.
    pub control: i64,
    /// Records of aborted transactions.
    pub aborted: i64,
    /// The timestamp of the first record that a `read_committed` consumer would receive.
    pub oldest: Oldest,
}

/// Walks over the batches that Fetch returned, from offset `from` to `end`, exclusive.
///
/// `aborted` are the aborted transactions of the same response, as producer id and first offset.
/// With `seek_oldest` the timestamp of the first readable record is read, which may decompress a
/// batch.
pub(crate) fn walk(
    bytes: &[u8],
    aborted: &[(i64, i64)],
    from: i64,
    end: i64,
    seek_oldest: bool,
) -> WalkResult {
    let mut transactions = AbortedTransactions::new(aborted);
    let mut result = WalkResult {
        reached: from,
        control: 0,
        aborted: 0,
        oldest: Oldest::NotReached,
    };
    for batch in Batches::new(bytes).take_while(|batch| batch.base < end) {
        let is_aborted = transactions.advance(&batch);
        let count = batch.count_between(from, end);
        if batch.is_control() {
            result.control += count;
        } else if is_aborted {
            result.aborted += count;
        } else if count > 0 && seek_oldest && result.oldest == Oldest::NotReached {
            result.oldest = record_timestamp::first_from(&batch, from);
        }
        result.reached = result.reached.max(batch.last.saturating_add(1).min(end));
    }
    result
}

/// The producers whose current transaction is aborted.
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

    /// A batch as a client writes it. The checksum is not verified.
    #[derive(Debug, Clone, Copy)]
    struct TestBatch {
        base: i64,
        last_delta: i32,
        attributes: i16,
        producer: i64,
        count: i32,
        timestamps: (i64, i64),
    }

    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;

    fn plain(base: i64, count: i32) -> TestBatch {
        TestBatch {
            base,
            last_delta: count - 1,
            attributes: 0,
            producer: -1,
            count,
            timestamps: (1_000 + base, 9_000),
        }
    }

    fn transactional(producer: i64, base: i64, count: i32) -> TestBatch {
        TestBatch {
            attributes: TRANSACTIONAL,
            producer,
            ..plain(base, count)
        }
    }

    fn marker(producer: i64, base: i64) -> TestBatch {
        TestBatch {
            attributes: TRANSACTIONAL | CONTROL,
            producer,
            ..plain(base, 1)
        }
    }

    fn log(batches: &[TestBatch]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for one in batches {
            let body = [7; 10];
            bytes.extend(one.base.to_be_bytes());
            bytes.extend((49 + body.len() as i32).to_be_bytes());
            bytes.extend([0; 4]);
            bytes.push(2);
            bytes.extend([0; 4]);
            bytes.extend(one.attributes.to_be_bytes());
            bytes.extend(one.last_delta.to_be_bytes());
            bytes.extend(one.timestamps.0.to_be_bytes());
            bytes.extend(one.timestamps.1.to_be_bytes());
            bytes.extend(one.producer.to_be_bytes());
            bytes.extend([0; 6]);
            bytes.extend(one.count.to_be_bytes());
            bytes.extend(body);
        }
        bytes
    }

    fn counts(walked: WalkResult) -> (i64, i64, i64) {
        (walked.control, walked.aborted, walked.reached)
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
        let walked = walk(&log, &[(7, 5)], 0, 12, true);
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
        let walked = walk(&log, &[(7, 2)], 0, 10, true);
        assert_eq!(counts(walked), (4, 2, 10));
        let both = walk(&log, &[(7, 8), (8, 3), (7, 2)], 0, 10, true);
        assert_eq!(counts(both), (4, 4, 10));
    }

    #[test]
    fn a_batch_before_the_committed_offset_counts_only_its_rest() {
        let log = log(&[transactional(7, 0, 10), marker(7, 10)]);
        let walked = walk(&log, &[(7, 0)], 6, 11, true);
        assert_eq!(counts(walked), (1, 4, 11));
        assert_eq!(counts(walk(&log, &[(7, 0)], 6, 9, true)), (0, 3, 9));
    }

    #[test]
    fn offsets_removed_by_compaction_still_belong_to_their_batch() {
        let compacted = TestBatch {
            last_delta: 9,
            ..transactional(7, 0, 2)
        };
        let walked = walk(&log(&[compacted]), &[(7, 0)], 0, 10, false);
        assert_eq!(counts(walked), (0, 10, 10));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_not_reached() {
        let whole = log(&[plain(0, 5), marker(7, 5)]);
        for cut in 1..70 {
            let walked = walk(&whole[..whole.len() - cut], &[], 0, 6, true);
            assert_eq!(counts(walked), (0, 0, 5), "{cut} bytes cut");
        }
        assert_eq!(counts(walk(&[], &[], 3, 6, true)), (0, 0, 3));
    }

    #[test]
    fn log_append_time_is_the_newest_timestamp_of_a_batch() {
        let append = TestBatch {
            attributes: 1 << 3,
            ..plain(0, 5)
        };
        assert_eq!(
            walk(&log(&[append]), &[], 2, 5, true).oldest,
            Oldest::At(9_000)
        );
        let empty = TestBatch {
            count: 0,
            last_delta: 4,
            ..plain(0, 1)
        };
        let walked = walk(&log(&[empty, plain(5, 1)]), &[], 0, 6, true);
        assert_eq!(walked.oldest, Oldest::At(1_005));
        assert_eq!(
            walk(&log(&[append]), &[], 2, 5, false).oldest,
            Oldest::NotReached
        );
    }

    #[test]
    fn a_record_within_invalid_bytes_has_no_known_timestamp() {
        assert_eq!(
            walk(&log(&[plain(0, 5)]), &[], 2, 5, true).oldest,
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
            let walked = walk(&bytes, &aborted, from, from + length, true);
            prop_assert!((from..=from + length).contains(&walked.reached));
            prop_assert!(walked.control >= 0 && walked.aborted >= 0 && walked.control + walked.aborted <= length);
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
            let walked = walk(&bytes, &[(7, 5)], from, from + length, true);
            prop_assert!((from..=from + length).contains(&walked.reached));
            prop_assert!(walked.control >= 0 && walked.aborted >= 0 && walked.control + walked.aborted <= length);
        }
    }
}
