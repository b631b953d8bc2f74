use proptest::prelude::*;

use super::*;

/// A batch as a client writes it; the checksum is not looked at.
#[derive(Debug, Clone, Copy)]
struct Written {
    base: i64,
    last_delta: i32,
    attributes: i16,
    producer: i64,
    count: i32,
    timestamps: (i64, i64),
}

const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

fn plain(base: i64, count: i32) -> Written {
    Written {
        base,
        last_delta: count - 1,
        attributes: 0,
        producer: -1,
        count,
        timestamps: (1_000 + base, 9_000),
    }
}

fn of(producer: i64, base: i64, count: i32) -> Written {
    Written {
        attributes: TRANSACTIONAL,
        producer,
        ..plain(base, count)
    }
}

fn marker(producer: i64, base: i64) -> Written {
    Written {
        attributes: TRANSACTIONAL | CONTROL,
        producer,
        ..plain(base, 1)
    }
}

fn log(batches: &[Written]) -> Vec<u8> {
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

fn counts(found: Found) -> (i64, i64, i64) {
    (found.control, found.aborted, found.reached)
}

#[test]
fn control_and_aborted_records_are_counted_and_others_are_not() {
    let log = log(&[
        plain(0, 5),
        of(7, 5, 3),
        marker(7, 8),
        of(7, 9, 2),
        marker(7, 11),
    ]);
    let found = walk(&log, &[(7, 5)], 0, 12, true);
    assert_eq!(counts(found), (2, 3, 12));
    assert_eq!(found.oldest, Oldest::At(1_000));
}

#[test]
fn a_transaction_is_aborted_until_its_producers_next_marker_and_no_other_producers() {
    let log = log(&[
        of(7, 0, 1),
        marker(7, 1),
        of(7, 2, 1),
        of(8, 3, 1),
        plain(4, 1),
        marker(8, 5),
        of(7, 6, 1),
        marker(7, 7),
        of(7, 8, 1),
        marker(7, 9),
    ]);
    let found = walk(&log, &[(7, 2)], 0, 10, true);
    assert_eq!(counts(found), (4, 2, 10));
    let both = walk(&log, &[(7, 8), (8, 3), (7, 2)], 0, 10, true);
    assert_eq!(counts(both), (4, 4, 10));
}

#[test]
fn of_a_batch_that_begins_before_the_committed_offset_only_the_rest_is_counted() {
    let log = log(&[of(7, 0, 10), marker(7, 10)]);
    let found = walk(&log, &[(7, 0)], 6, 11, true);
    assert_eq!(counts(found), (1, 4, 11));
    assert_eq!(counts(walk(&log, &[(7, 0)], 6, 9, true)), (0, 3, 9));
}

#[test]
fn offsets_that_compaction_took_from_a_batch_still_belong_to_it() {
    let compacted = Written {
        last_delta: 9,
        ..of(7, 0, 2)
    };
    let found = walk(&log(&[compacted]), &[(7, 0)], 0, 10, false);
    assert_eq!(counts(found), (0, 10, 10));
}

#[test]
fn a_batch_that_was_cut_is_not_reached() {
    let whole = log(&[plain(0, 5), marker(7, 5)]);
    for cut in 1..70 {
        let found = walk(&whole[..whole.len() - cut], &[], 0, 6, true);
        assert_eq!(counts(found), (0, 0, 5), "{cut} bytes cut");
    }
    assert_eq!(counts(walk(&[], &[], 3, 6, true)), (0, 0, 3));
}

#[test]
fn log_append_time_is_the_newest_timestamp_and_an_empty_batch_has_no_oldest_record() {
    let append = Written {
        attributes: 1 << 3,
        ..plain(0, 5)
    };
    assert_eq!(
        walk(&log(&[append]), &[], 2, 5, true).oldest,
        Oldest::At(9_000)
    );
    let empty = Written {
        count: 0,
        last_delta: 4,
        ..plain(0, 1)
    };
    let found = walk(&log(&[empty, plain(5, 1)]), &[], 0, 6, true);
    assert_eq!(found.oldest, Oldest::At(1_005));
    assert_eq!(
        walk(&log(&[append]), &[], 2, 5, false).oldest,
        Oldest::NotThere
    );
}

#[test]
fn a_record_in_the_middle_of_rubbish_has_no_known_time() {
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
        let found = walk(&bytes, &aborted, from, from + length, true);
        prop_assert!((from..=from + length).contains(&found.reached));
        prop_assert!(found.control >= 0 && found.aborted >= 0 && found.control + found.aborted <= length);
    }

    #[test]
    fn a_log_with_any_byte_changed_is_walked_without_a_panic_and_within_bounds(
        changes in prop::collection::vec((0usize..355, any::<u8>()), 0..6),
        from in 0i64..20, length in 0i64..20,
    ) {
        let mut bytes = log(&[plain(0, 5), of(7, 5, 3), marker(7, 8), of(7, 9, 2), marker(7, 11)]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let found = walk(&bytes, &[(7, 5)], from, from + length, true);
        prop_assert!((from..=from + length).contains(&found.reached));
        prop_assert!(found.control >= 0 && found.aborted >= 0 && found.control + found.aborted <= length);
    }
}
