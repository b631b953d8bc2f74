//! Walks over logs, also over damaged ones.

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
