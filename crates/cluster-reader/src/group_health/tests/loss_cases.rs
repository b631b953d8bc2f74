//! Losses of records, and topics that are deleted, over time.

use std::collections::BTreeSet;

use super::simulated_group::{ORDERS, PAYMENTS, SimulatedGroup};
use crate::LagCount;
use crate::group_health::{Absence, GroupHealth, Rule, Status};

/// A group that is 30 records behind on three partitions, of which 20 are deleted.
fn behind_the_log_start() -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, 5);
    for partition in 0..3 {
        group.produce(PAYMENTS, partition, 30);
    }
    let mut group = group.poll();
    for partition in 0..3 {
        group.low(PAYMENTS, partition, 30);
    }
    group.poll()
}

fn lost(health: &GroupHealth) -> (Status, bool, LagCount) {
    let found = health
        .findings()
        .iter()
        .find(|one| one.rule == Rule::LostRecords);
    let status = found.map_or(Status::Ok, |found| found.status);
    let records = health.losses.iter().map(|loss| loss.records).sum();
    let is_present = health.losses.iter().any(|loss| loss.is_present);
    (status, is_present, records)
}

#[test]
fn the_evidence_sums_the_losses_of_all_partitions() {
    let health = behind_the_log_start().assess(None);
    let evidence = "≤ 60 records were deleted before the group read them, found at 00:00:01 UTC: \
        payments[0] ≤ 20 of offsets 10 to 29, payments[1] ≤ 20 of offsets 10 to 29, \
        payments[2] ≤ 20 of offsets 10 to 29";
    assert_eq!(health.evidence(), evidence);
    assert_eq!(
        lost(&health),
        (Status::Critical, true, LagCount::between(0, 60))
    );
}

#[test]
fn a_past_loss_is_a_warning_until_it_is_acknowledged() {
    let mut group = behind_the_log_start();
    for partition in 0..3 {
        group.commit(PAYMENTS, partition, 40);
    }
    let mut group = group.run(1_000, |_, _| {});
    let expected = (Status::Warning, false, LagCount::between(0, 60));
    assert_eq!(lost(&group.assess(Some(PAYMENTS))), expected);
    assert!(
        group
            .history
            .acknowledge_losses(|_, topic| topic == ORDERS)
            .is_empty()
    );
    assert_eq!(lost(&group.assess(None)), expected);
    assert_eq!(group.history.acknowledge_losses(|_, _| true).len(), 3);
    assert_eq!(group.assess(None).rule(), Rule::KeepsUp);
    let group = group.run(60, |_, _| {});
    assert_eq!(group.assess(None).rule(), Rule::KeepsUp);
}

#[test]
fn an_acknowledged_loss_is_reported_again_only_if_it_grows() {
    let mut group = behind_the_log_start();
    group.history.acknowledge_losses(|_, _| true);
    let mut group = group.poll();
    assert!(group.assess(None).losses.is_empty());
    group.low(PAYMENTS, 1, 33);
    let group = group.run(20, |_, _| {});
    let losses = group.assess(None).losses;
    let seen: Vec<_> = losses
        .iter()
        .map(|one| (one.first_offset, one.last_offset))
        .collect();
    assert_eq!(seen, [(30, 32)]);
    assert_eq!(losses[0].records, LagCount::between(0, 3));
}

#[test]
fn a_loss_that_grows_is_one_loss() {
    let mut group = behind_the_log_start();
    for start in 31..35 {
        group.low(PAYMENTS, 0, start);
        group = group.poll();
    }
    let losses = group.assess(None).losses;
    assert_eq!(losses[0].records, LagCount::between(0, 24));
    assert_eq!((losses[0].first_offset, losses[0].last_offset), (10, 33));
}

#[test]
fn a_loss_between_two_readings_is_found_by_the_last_committed_offset() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.produce(PAYMENTS, 0, 500);
    let mut group = group.run(30, |_, _| {});
    // Between two readings the records are deleted, and the group reads on after them.
    group.low(PAYMENTS, 0, 400);
    group.commit(PAYMENTS, 0, 450);
    let group = group.poll();
    let health = group.assess(None);
    assert_eq!(
        lost(&health),
        (Status::Warning, false, LagCount::between(0, 390))
    );
    assert!(health.losses[0].last_offset == 399 && !health.losses[0].is_certain);
    let evidence = health
        .findings()
        .iter()
        .find(|one| one.rule == Rule::LostRecords);
    let evidence = &evidence.unwrap().evidence;
    assert!(
        evidence.starts_with("≤ 390 records may have been deleted"),
        "{evidence}"
    );
}

#[test]
fn records_that_are_deleted_after_they_were_committed_are_no_loss() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 1);
    for offset in (20..200).step_by(10) {
        group.at(PAYMENTS, 0, offset);
        group.low(PAYMENTS, 0, offset - 10);
        group = group.poll();
    }
    assert!(group.assess(None).losses.is_empty());
}

#[test]
fn deleted_markers_are_no_loss() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.mark(PAYMENTS, 0);
    let mut group = group.poll();
    assert_eq!(group.assess(None).total_lag, Some(LagCount::ZERO));
    // The marker is deleted, and the group commits after it.
    group.low(PAYMENTS, 0, 11);
    group.commit(PAYMENTS, 0, 11);
    let group = group.poll();
    assert!(group.assess(None).losses.is_empty());
}

#[test]
fn a_group_that_stays_before_deleted_markers_has_lost_nothing() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.mark(PAYMENTS, 0);
    let mut group = group.poll();
    group.low(PAYMENTS, 0, 11);
    group.counted_lost(PAYMENTS, 0, 0);
    let group = group.poll();
    assert!(group.assess(None).losses.is_empty());
}

#[test]
fn a_recreated_topic_can_lose_records_after_an_acknowledged_loss() {
    let mut group = behind_the_log_start();
    group.history.acknowledge_losses(|_, _| true);
    group.at(PAYMENTS, 0, 5);
    group.low(PAYMENTS, 0, 0);
    let mut group = group.poll();
    group.commit(PAYMENTS, 0, 1);
    group.low(PAYMENTS, 0, 4);
    let losses = group.poll().assess(None).losses;
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert_eq!((losses[0].first_offset, losses[0].last_offset), (1, 3));
}

#[test]
fn a_loss_on_a_topic_that_was_deleted_is_past_and_can_be_acknowledged() {
    let mut group = behind_the_log_start();
    group.topic(ORDERS, 1, 1);
    let mut group = group.poll();
    group.delete_topic(PAYMENTS);
    let mut group = group.poll();
    let losses: Vec<_> = group.history.all_losses().collect();
    assert_eq!(losses.len(), 3);
    assert!(losses.iter().all(|(_, loss)| !loss.is_present));
    let acknowledged = group
        .history
        .acknowledge_losses(|name, topic| (name, topic) == ("group", PAYMENTS));
    assert_eq!(acknowledged.len(), 3);
    assert_eq!(group.poll().history.all_losses().count(), 0);
}

#[test]
fn the_time_of_a_loss_on_an_earlier_day_has_its_date() {
    let mut group = behind_the_log_start();
    group.second += 86_400;
    let health = group.poll().assess(None);
    let mut findings = health.findings().iter();
    let found = findings.find(|one| one.rule == Rule::LostRecords);
    let evidence = &found.unwrap().evidence;
    assert!(
        evidence.contains("found at 1970-01-01 00:00:01 UTC"),
        "{evidence}"
    );
}

#[test]
fn a_deleted_topic_is_reported_until_it_is_acknowledged() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5).poll();
    group.delete_topic(PAYMENTS);
    let mut group = group.poll();
    assert_eq!(group.assess(None).rule(), Rule::TopicMissing);
    let none = group
        .history
        .acknowledge_missing_topics(|_, topic| topic == ORDERS);
    assert!(none.is_empty());
    let acknowledged = group.history.acknowledge_missing_topics(|_, _| true);
    assert_eq!(acknowledged, [("group".to_owned(), PAYMENTS.to_owned())]);
    let group = group.poll();
    assert_eq!(group.history.missing_topics().count(), 0);
    assert_ne!(group.assess(None).rule(), Rule::TopicMissing);
}

#[test]
fn a_topic_that_is_deleted_under_a_group_is_reported_until_it_exists_again() {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 1, 5);
    group.topic(ORDERS, 1, 1);
    let mut group = group.poll();
    group.delete_topic(PAYMENTS);
    group.members(0);
    let mut group = group.run(3_600, |_, _| {});
    let health = group.assess(Some(PAYMENTS));
    assert_eq!(
        (health.status(), health.rule()),
        (Status::Critical, Rule::TopicMissing)
    );
    assert!(
        health
            .evidence()
            .contains("topic payments does not exist any more")
    );
    assert_eq!(group.assess(None).rule(), Rule::TopicMissing);
    assert_eq!(group.assess(Some(ORDERS)).rule(), Rule::KeepsUp);
    let missing: BTreeSet<_> = group.history.missing_topics().collect();
    assert_eq!(missing, BTreeSet::from([("group", PAYMENTS)]));

    group.topic(PAYMENTS, 3, 1);
    let group = group.poll();
    assert_eq!(group.history.missing_topics().count(), 0);
    assert_eq!(group.assess(Some(PAYMENTS)).rule(), Rule::KeepsUp);
}

#[test]
fn a_topic_of_a_group_without_members_vanishes_with_its_offsets() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 0, 5).poll();
    group.delete_topic(PAYMENTS);
    let group = group.poll();
    assert_eq!(group.history.missing_topics().count(), 0);
    let absence = |name, topic| group.history.absence(name, topic);
    assert_eq!(absence("group", Some(PAYMENTS)), Some(Absence::Topic));
    assert_eq!(absence("other", None), Some(Absence::Group));
    assert_eq!(absence("group", None), None);
}
