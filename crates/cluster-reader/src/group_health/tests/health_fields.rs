//! The fields of a group's health besides status and rule.

use std::time::Duration;

use proptest::prelude::*;

use super::simulated_group::{PAYMENTS, SimulatedGroup};
use crate::group_health::{History, Rule, Status, Thresholds, assess};
use crate::{LagCount, LagUndefined};

#[test]
fn rates_and_time_to_drain_are_those_of_the_last_seconds() {
    for interval in [1, 5] {
        let mut group = SimulatedGroup::of(PAYMENTS, 2, 1, interval).run(60, |_, _| {});
        group.produce(PAYMENTS, 0, 10_000);
        let group = group.run(60, |group, _| {
            group.produce(PAYMENTS, 0, 5);
            group.produce(PAYMENTS, 1, 3);
            group.read(PAYMENTS, 0, 25);
            group.read(PAYMENTS, 1, 3);
        });
        let health = group.assess(None);
        let rates = health.rates.unwrap();
        assert_eq!(
            (rates.lag, rates.consumed, rates.produced),
            (-20.0, 28.0, 8.0)
        );
        let lag = 10_000 - 60 * 20;
        assert_eq!(health.total_lag, Some(LagCount::of(lag)));
        let seconds = lag as u64 / 20;
        assert_eq!(health.time_to_drain, Some(Duration::from_secs(seconds)));
        let each: Vec<f64> = health.partition_rates.values().map(|one| one.lag).collect();
        assert_eq!(each, [-20.0, 0.0]);
    }
}

#[test]
fn a_rate_counts_records_and_no_markers() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.produce(PAYMENTS, 0, 1_000);
    let group = group.run(60, |group, _| {
        group.produce(PAYMENTS, 0, 2);
        group.mark(PAYMENTS, 0);
    });
    let rates = group.assess(None).rates.unwrap();
    assert_eq!((rates.produced, rates.consumed), (2.0, 0.0));
}

#[test]
fn bounds_make_neither_a_rate_nor_a_time() {
    let mut group = SimulatedGroup::of(PAYMENTS, 2, 1, 5);
    group.produce(PAYMENTS, 0, 1_000);
    group.scanned(PAYMENTS, 0, false);
    let mut group = group.run(30, |group, _| {
        group.read(PAYMENTS, 0, 5);
        group.read(PAYMENTS, 1, 5);
    });
    let health = group.assess(None);
    assert_eq!((health.rates, health.time_to_drain), (None, None));
    assert_eq!(health.partition_rates.len(), 1);
    assert_eq!(health.total_lag, Some(LagCount::between(0, 850)));
    assert_eq!(
        health.evidence(),
        "≤ 850 records wait, the oldest for 2.0 s"
    );
    // Only the last reading is complete.
    group.scanned(PAYMENTS, 0, true);
    let group = group.poll();
    assert_eq!(group.assess(None).time_to_drain, None);
    let group = group.run(10, |group, _| group.read(PAYMENTS, 0, 5));
    let drained = group.assess(None).time_to_drain.unwrap();
    assert_eq!(drained, Duration::from_secs(800 / 5));
}

#[test]
fn a_lag_that_shrinks_without_a_commit_is_never_drained() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 0, 5);
    group.produce(PAYMENTS, 0, 1_000);
    let mut group = group.run(30, |_, _| {});
    // Records are deleted under the group.
    group.low(PAYMENTS, 0, 500);
    let health = group.poll().assess(None);
    assert_eq!(health.time_to_drain, None);
    assert_eq!(health.total_lag, Some(LagCount::of(510)));
}

#[test]
fn a_single_reading_has_no_rates() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 0, 5);
    group.produce(PAYMENTS, 0, 700);
    let health = group.poll().assess(None);
    assert_eq!((health.rates, health.time_to_drain), (None, None));
    assert!(health.partition_rates.is_empty());
    let rules: Vec<Rule> = health.findings().iter().map(|one| one.rule).collect();
    assert_eq!(rules, [Rule::NoMembers, Rule::AboveCritical]);
}

#[test]
fn a_lag_that_does_not_shrink_has_no_time_to_drain() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5).run(30, |_, _| {});
    assert_eq!(group.assess(None).time_to_drain, Some(Duration::ZERO));
    group.produce(PAYMENTS, 0, 50);
    let group = group.run(30, |_, _| {});
    assert_eq!(group.assess(None).time_to_drain, None);
}

#[test]
fn a_partition_with_unknown_lag_is_counted_and_not_summed() {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, 5);
    group.produce(PAYMENTS, 0, 40);
    group.unknown(PAYMENTS, 1, LagUndefined::NothingCommitted);
    group.unknown(PAYMENTS, 2, LagUndefined::NoRecordYet);
    let health = group.poll().assess(None);
    assert_eq!(
        (health.total_lag, health.unknown_partitions),
        (Some(LagCount::of(40)), 1)
    );

    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.unknown(PAYMENTS, 0, LagUndefined::NothingCommitted);
    assert_eq!(group.poll().assess(None).total_lag, None);
}

#[test]
fn a_group_that_is_not_in_the_last_snapshot_is_not_assessed() {
    let simulated = SimulatedGroup::of(PAYMENTS, 1, 1, 5).poll();
    let health =
        |group, topic| assess(&simulated.history, group, topic, Thresholds::default(), &[]);
    assert!(health("group", Some(PAYMENTS)).is_some());
    assert!(health("group", Some("orders")).is_none());
    assert!(health("other", None).is_none());
    assert!(
        assess(
            &History::default(),
            "group",
            None,
            Thresholds::default(),
            &[]
        )
        .is_none()
    );
}

#[test]
fn a_clock_that_was_set_back_restarts_the_history() {
    let group = SimulatedGroup::of(PAYMENTS, 1, 1, 5).run(60, |_, _| {});
    let old = group.history.latest().unwrap().clone();
    let mut group = group.poll();
    assert!(group.assess(None).rates.is_some());
    group.history.add(old);
    assert_eq!(group.assess(None).rates, None);
}

#[test]
fn a_reset_of_offsets_is_not_negative_consumption() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5).run(60, |_, _| {});
    group.commit(PAYMENTS, 0, 3);
    let group = group.run(10, |_, _| {});
    assert_eq!(
        group.assess(None).rates.map(|rates| rates.consumed),
        Some(0.0)
    );
}

#[test]
fn a_stopped_group_that_reads_again_keeps_up() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.produce(PAYMENTS, 0, 50);
    let group = group.run(100, |_, _| {});
    assert_eq!(group.assess(None).rule(), Rule::Stopped);
    let group = group.run(10, |group, _| group.read(PAYMENTS, 0, 3));
    assert_eq!(group.assess(None).status(), Status::Ok);
}

#[test]
fn thresholds_are_in_order_and_at_least_one() {
    assert!(Thresholds::new(1, 1).is_some());
    assert!(Thresholds::new(0, 5).is_none());
    assert!(Thresholds::new(6, 5).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_committed_offsets_can_be_assessed(
        offsets in prop::collection::vec((0..3i32, 0..i64::MAX / 4, 0..i64::MAX / 4, 0..i64::MAX / 4), 1..40)
    ) {
        let mut group = SimulatedGroup::of(PAYMENTS, 3, 2, 5);
        for (partition, committed, low, end) in offsets {
            group.commit(PAYMENTS, partition, committed);
            group.end(PAYMENTS, partition, end);
            group.low(PAYMENTS, partition, low.min(end));
            group = group.run(7, |_, _| {});
            let health = group.assess(None);
            prop_assert!(!health.evidence().is_empty());
            prop_assert!(health.total_lag.is_none_or(|total| total.lower() >= 0));
        }
    }
}
