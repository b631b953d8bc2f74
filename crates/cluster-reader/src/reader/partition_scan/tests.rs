//! The scan of a simulated partition against a plain model: a list of all offsets.

mod test_partition;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use test_partition::{Slot, TestPartition};

const NO_LIMIT: usize = usize::MAX;

fn unread(scan: &PartitionScan, committed: i64) -> UnreadScan {
    scan.unread(Some(committed))
}

#[test]
fn a_backlog_of_100_000_transactions_is_exact_and_each_batch_is_fetched_once() {
    let mut partition = TestPartition::default();
    for _ in 0..100_000 {
        partition.transaction(1, 600, false);
    }
    let log_bytes: usize = partition
        .batches
        .iter()
        .map(|one| 61 + one.body_bytes)
        .sum();
    let wanted = partition.wanted(&[20_000]);
    let mut scan = PartitionScan::new(1, &wanted);
    assert_eq!(
        unread(&scan, 20_000).readable,
        LagCount::between(0, 180_000)
    );
    let fetched = partition.poll(&mut scan, &wanted, NO_LIMIT);
    assert!(fetched < log_bytes, "{fetched} of {log_bytes}");
    assert_eq!(unread(&scan, 20_000).readable, LagCount::of(90_000));
    // The group reads on, and records are added: a poll fetches these, and one block at the offset.
    let mut committed = 20_000;
    for _ in 0..50 {
        for _ in 0..100 {
            partition.transaction(1, 600, false);
        }
        committed += 333;
        let wanted = partition.wanted(&[committed]);
        let fetched = partition.poll(&mut scan, &wanted, NO_LIMIT);
        assert!(fetched < 100 * 800 + 5 * BLOCK_BYTES, "{fetched} bytes");
        let expected = partition.readable(committed);
        assert_eq!(unread(&scan, committed).readable, LagCount::of(expected));
    }
    let written = unread(&scan, committed).written.unwrap();
    assert_eq!((written.origin, written.records), (1, 5_000));
    let wanted = partition.wanted(&[committed]);
    assert_eq!(partition.poll(&mut scan, &wanted, NO_LIMIT), 0);
}

#[test]
fn a_backlog_that_is_longer_than_the_blocks_are_many_stays_exact() {
    let mut partition = TestPartition::default();
    for _ in 0..2_500 {
        partition.records(10, 70_000);
    }
    let wanted = partition.wanted(&[5]);
    let mut scan = PartitionScan::new(1, &wanted);
    partition.poll(&mut scan, &wanted, NO_LIMIT);
    for committed in [5, 6, 1_000, 24_999] {
        let wanted = partition.wanted(&[committed]);
        let fetched = partition.poll(&mut scan, &wanted, NO_LIMIT);
        assert!(fetched < 2 << 20, "{fetched} bytes");
        let expected = LagCount::of(25_000 - committed);
        assert_eq!(unread(&scan, committed).readable, expected);
    }
}

#[test]
fn within_the_budget_of_a_poll_both_bounds_hold_and_become_narrower() {
    let mut partition = TestPartition::default();
    for _ in 0..5_000 {
        partition.transaction(1, 600, false);
    }
    let wanted = partition.wanted(&[0]);
    let mut scan = PartitionScan::new(1, &wanted);
    let mut before = LagCount::between(0, 10_000);
    let mut polls = 0;
    while !unread(&scan, 0).readable.is_exact() {
        assert!(partition.poll(&mut scan, &wanted, 1) > 0);
        let bounds = unread(&scan, 0).readable;
        assert!(bounds.lower() >= before.lower() && bounds.upper() <= before.upper());
        assert_ne!(bounds, before);
        assert!(
            bounds.lower() <= 5_000 && bounds.upper() >= 5_000,
            "{bounds}"
        );
        before = bounds;
        polls += 1;
    }
    assert!((3..10).contains(&polls), "{polls}");
}

#[test]
fn a_group_that_is_caught_up_has_its_records_counted() {
    let mut partition = TestPartition::default();
    partition.transaction(3, 100, false);
    let mut scan = PartitionScan::new(1, &partition.wanted(&[partition.end()]));
    for expected in [5, 10, 15] {
        partition.transaction(5, 100, false);
        partition.transaction(2, 100, true);
        let wanted = partition.wanted(&[partition.end()]);
        partition.poll(&mut scan, &wanted, NO_LIMIT);
        let counted = unread(&scan, partition.end());
        assert_eq!(counted.readable, LagCount::ZERO);
        assert_eq!(counted.written.map(|one| one.records), Some(expected));
    }
}

#[test]
fn the_first_readable_record_can_be_far_behind_aborted_ones() {
    let mut partition = TestPartition::default();
    for _ in 0..1_000 {
        partition.transaction(1, 600, true);
    }
    partition.records(1, 600);
    for wanted in [
        partition.wanted(&[0]),
        Wanted {
            any_record: true,
            ..partition.wanted(&[])
        },
    ] {
        let mut scan = PartitionScan::new(1, &wanted);
        partition.poll(&mut scan, &wanted, NO_LIMIT);
        let committed = wanted.committed.first().copied();
        let counted = scan.unread(committed);
        assert_eq!(counted.readable, LagCount::of(1));
        assert_eq!(
            counted.oldest_readable,
            DateTime::from_timestamp_millis(3_000)
        );
    }
}

#[test]
fn a_group_without_a_commit_costs_no_scan_of_the_whole_log() {
    let mut partition = TestPartition::default();
    for _ in 0..10_000 {
        partition.records(1, 600);
    }
    let wanted = Wanted {
        any_record: true,
        ..partition.wanted(&[])
    };
    let mut scan = PartitionScan::new(1, &wanted);
    assert!(partition.poll(&mut scan, &wanted, NO_LIMIT) <= BLOCK_BYTES);
    assert!(scan.unread(None).readable.lower() > 0);
}

#[test]
fn lost_records_are_exact_if_they_were_counted_before() {
    let mut partition = TestPartition::default();
    for _ in 0..2_000 {
        partition.transaction(1, 600, false);
    }
    let mut scan = PartitionScan::new(1, &partition.wanted(&[10]));
    partition.poll(&mut scan, &partition.wanted(&[10]), NO_LIMIT);
    partition.log_start = partition.end();
    partition.poll(&mut scan, &partition.wanted(&[10]), NO_LIMIT);
    assert_eq!(unread(&scan, 10).lost, LagCount::of(1_995));
    // Another scan has counted nothing before.
    let scan = PartitionScan::new(1, &partition.wanted(&[10]));
    assert_eq!(unread(&scan, 10).lost, LagCount::between(0, 3_990));
}

#[test]
fn a_recreated_topic_is_counted_from_its_own_origin() {
    let mut partition = TestPartition::default();
    partition.records(100, 600);
    let mut scan = PartitionScan::new(1, &partition.wanted(&[100]));
    partition.poll(&mut scan, &partition.wanted(&[100]), NO_LIMIT);
    let mut partition = TestPartition::default();
    partition.records(200, 600);
    let wanted = Wanted {
        topic_id: 2,
        ..partition.wanted(&[150])
    };
    assert!(scan.update(5, &wanted));
    partition.poll(&mut scan, &wanted, NO_LIMIT);
    let counted = unread(&scan, 150);
    assert_eq!(counted.readable, LagCount::of(50));
    assert_eq!(counted.written.map(|one| one.origin), Some(5));
}

/// A change between two polls.
#[derive(Debug, Clone)]
enum Change {
    Records(i32, usize),
    Transaction(i32, usize, bool),
    Compacted(i32),
    /// Moves a group by this part of the log, forwards or back.
    Commit(usize, f64),
    /// Deletes this part of the log.
    Delete(f64),
    Poll(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1i32..50, 0usize..90_000).prop_map(|(count, bytes)| Change::Records(count, bytes)),
        (1i32..20, 0usize..90_000, any::<bool>())
            .prop_map(|(count, bytes, aborted)| Change::Transaction(count, bytes, aborted)),
        (1i32..9).prop_map(Change::Compacted),
        (0usize..3, 0.0..1.0).prop_map(|(group, part)| Change::Commit(group, part)),
        (0.0..0.3).prop_map(Change::Delete),
        prop_oneof![Just(1usize), Just(100_000), Just(NO_LIMIT)].prop_map(Change::Poll),
    ]
}

proptest! {
    #[test]
    fn any_history_is_counted_exactly_and_bounds_always_hold(
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let mut partition = TestPartition::default();
        let mut committed = [0i64; 3];
        let mut scan = PartitionScan::new(1, &partition.wanted(&committed));
        for change in changes.into_iter().chain([Change::Poll(NO_LIMIT)]) {
            match change {
                Change::Records(count, bytes) => partition.records(count, bytes),
                Change::Transaction(count, bytes, aborted) => {
                    partition.transaction(count, bytes, aborted);
                }
                Change::Compacted(offsets) => partition.compacted(offsets),
                Change::Commit(group, part) => {
                    committed[group] = (partition.end() as f64 * part) as i64;
                }
                Change::Delete(part) => {
                    let left = partition.end() - partition.log_start;
                    partition.log_start += (left as f64 * part) as i64;
                }
                Change::Poll(budget) => {
                    let wanted = partition.wanted(&committed);
                    partition.poll(&mut scan, &wanted, budget);
                    for group in committed {
                        let counted = unread(&scan, group);
                        let expected = partition.readable(group);
                        let bounds = counted.readable;
                        prop_assert!(bounds.lower() <= expected && expected <= bounds.upper(), "{bounds} {expected}");
                        prop_assert!(budget < NO_LIMIT || bounds == LagCount::of(expected), "{bounds} {expected}");
                        let start = group.max(partition.log_start);
                        let end = partition.end();
                        for (counted, slot) in [
                            (counted.control_records, Slot::Marker),
                            (counted.aborted_records, Slot::Aborted),
                            (counted.compacted, Slot::Removed),
                        ] {
                            let expected = partition.count(start, end, slot);
                            prop_assert!(counted == expected || (budget < NO_LIMIT && counted < expected), "{slot:?}");
                        }
                        let lost = partition.count(group, partition.log_start, Slot::Record);
                        prop_assert!(counted.lost.lower() <= lost && lost <= counted.lost.upper(), "{} {lost}", counted.lost);
                    }
                }
            }
        }
    }

    #[test]
    fn the_difference_of_two_counts_of_written_records_is_exact(
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let mut partition = TestPartition::default();
        let mut committed = [0i64; 3];
        let mut scan = PartitionScan::new(1, &partition.wanted(&committed));
        let mut before: Option<(RecordsWritten, i64)> = None;
        for change in changes {
            match change {
                Change::Records(count, bytes) => partition.records(count, bytes),
                Change::Transaction(count, bytes, aborted) => {
                    partition.transaction(count, bytes, aborted);
                }
                Change::Compacted(offsets) => partition.compacted(offsets),
                Change::Commit(group, part) => {
                    committed[group] = (partition.end() as f64 * part) as i64;
                }
                Change::Delete(_) => {}
                Change::Poll(budget) => {
                    let wanted = partition.wanted(&committed);
                    partition.poll(&mut scan, &wanted, budget);
                    let end = partition.end();
                    let now = unread(&scan, committed[0]).written;
                    prop_assert!(budget < NO_LIMIT || now.is_some());
                    if let (Some((written, from)), Some(now)) = (before, now) {
                        prop_assert_eq!(written.origin, now.origin);
                        let expected = partition.count(from, end, Slot::Record);
                        prop_assert_eq!(now.records - written.records, expected);
                    }
                    before = now.map(|now| (now, end));
                }
            }
        }
    }
}
