//! What a judgement holds besides status and rule.

use std::time::Duration;

use proptest::prelude::*;

use super::scene::{PAYMENTS, Scene};
use crate::NoLag;
use crate::judge::{History, Rule, Status, Thresholds, judge};

#[test]
fn rates_and_time_to_drain_are_those_of_the_last_seconds() {
    for every in [1, 5] {
        let mut scene = Scene::of(PAYMENTS, 2, 1, every).run(60, |_, _| {});
        scene.produce(PAYMENTS, 0, 10_000);
        let scene = scene.run(60, |scene, _| {
            scene.produce(PAYMENTS, 0, 5);
            scene.produce(PAYMENTS, 1, 3);
            scene.read(PAYMENTS, 0, 25);
            scene.read(PAYMENTS, 1, 3);
        });
        let judged = scene.judge(None);
        let rates = judged.rates.unwrap();
        assert_eq!(
            (rates.lag, rates.consumed, rates.produced),
            (-20.0, 28.0, 8.0)
        );
        let lag = 10_000 - 60 * 20;
        assert_eq!(judged.total_lag, Some(lag));
        let seconds = lag as u64 / 20;
        assert_eq!(judged.time_to_drain, Some(Duration::from_secs(seconds)));
        let each: Vec<f64> = judged.partitions.values().map(|one| one.lag).collect();
        assert_eq!(each, [-20.0, 0.0]);
    }
}

#[test]
fn a_single_reading_has_no_rates_and_says_what_it_can() {
    let mut scene = Scene::of(PAYMENTS, 1, 0, 5);
    scene.produce(PAYMENTS, 0, 700);
    let judged = scene.poll().judge(None);
    assert_eq!((judged.rates, judged.time_to_drain), (None, None));
    assert!(judged.partitions.is_empty());
    let rules: Vec<Rule> = judged.findings().iter().map(|one| one.rule).collect();
    assert_eq!(rules, [Rule::NoMembers, Rule::AboveCritical]);
}

#[test]
fn a_lag_that_does_not_shrink_has_no_time_to_drain_and_none_has_zero() {
    let mut scene = Scene::of(PAYMENTS, 1, 1, 5).run(30, |_, _| {});
    assert_eq!(scene.judge(None).time_to_drain, Some(Duration::ZERO));
    scene.produce(PAYMENTS, 0, 50);
    let scene = scene.run(30, |_, _| {});
    assert_eq!(scene.judge(None).time_to_drain, None);
}

#[test]
fn a_partition_of_which_nothing_is_known_is_left_out_of_the_sum_and_counted() {
    let mut scene = Scene::of(PAYMENTS, 3, 1, 5);
    scene.produce(PAYMENTS, 0, 40);
    scene.unknown(PAYMENTS, 1, NoLag::NothingCommitted);
    scene.unknown(PAYMENTS, 2, NoLag::NoRecordYet);
    let judged = scene.poll().judge(None);
    assert_eq!((judged.total_lag, judged.not_known), (Some(40), 1));

    let mut scene = Scene::of(PAYMENTS, 1, 1, 5);
    scene.unknown(PAYMENTS, 0, NoLag::NothingCommitted);
    assert_eq!(scene.poll().judge(None).total_lag, None);
}

#[test]
fn what_is_not_in_the_last_snapshot_is_not_judged() {
    let scene = Scene::of(PAYMENTS, 1, 1, 5).poll();
    let asked = |group, topic| judge(&scene.history, group, topic, Thresholds::default());
    assert!(asked("group", Some(PAYMENTS)).is_some());
    assert!(asked("group", Some("orders")).is_none());
    assert!(asked("other", None).is_none());
    assert!(judge(&History::default(), "group", None, Thresholds::default()).is_none());
}

#[test]
fn a_clock_that_was_set_back_begins_a_new_history() {
    let scene = Scene::of(PAYMENTS, 1, 1, 5).run(60, |_, _| {});
    let old = scene.history.latest().unwrap().clone();
    let mut scene = scene.poll();
    assert!(scene.judge(None).rates.is_some());
    scene.history.add(old);
    assert_eq!(scene.judge(None).rates, None);
}

#[test]
fn a_reset_of_offsets_is_no_negative_consumption() {
    let mut scene = Scene::of(PAYMENTS, 1, 1, 5).run(60, |_, _| {});
    scene.commit(PAYMENTS, 0, 3);
    let scene = scene.run(10, |_, _| {});
    assert_eq!(
        scene.judge(None).rates.map(|rates| rates.consumed),
        Some(0.0)
    );
}

#[test]
fn what_is_stopped_moves_on_and_keeps_up_again() {
    let mut scene = Scene::of(PAYMENTS, 1, 1, 5);
    scene.produce(PAYMENTS, 0, 50);
    let scene = scene.run(100, |_, _| {});
    assert_eq!(scene.judge(None).rule(), Rule::Stopped);
    let scene = scene.run(10, |scene, _| scene.read(PAYMENTS, 0, 3));
    assert_eq!(scene.judge(None).status(), Status::Ok);
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
    fn whatever_offsets_a_client_commits_there_is_a_judgement(
        offsets in prop::collection::vec((0..3i32, 0..i64::MAX / 4, 0..i64::MAX / 4, 0..i64::MAX / 4), 1..40)
    ) {
        let mut scene = Scene::of(PAYMENTS, 3, 2, 5);
        for (partition, committed, low, end) in offsets {
            scene.commit(PAYMENTS, partition, committed);
            scene.end(PAYMENTS, partition, end);
            scene.low(PAYMENTS, partition, low.min(end));
            scene = scene.run(7, |_, _| {});
            let judged = scene.judge(None);
            prop_assert!(!judged.evidence().is_empty());
            prop_assert!(judged.total_lag.is_none_or(|total| total >= 0));
        }
    }
}
