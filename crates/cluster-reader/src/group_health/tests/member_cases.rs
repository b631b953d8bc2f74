//! What the members say, joined with what the cluster shows.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::simulated_group::{ORDERS, PAYMENTS, SimulatedGroup};
use crate::TopicPartition;
use crate::group_health::{
    ConditionKind, MemberReport, ProcessingTime, ReportedCondition, Rule, SetBy, Status,
};

fn at(partition: i32) -> TopicPartition {
    TopicPartition {
        topic: PAYMENTS.to_owned(),
        partition,
    }
}

fn member(number: usize, partitions: &[i32]) -> MemberReport {
    MemberReport {
        instance: format!("inventory-service.{number}"),
        assignment: partitions.iter().map(|one| at(*one)).collect(),
        conditions: Vec::new(),
        processing_time: None,
    }
}

fn second(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn condition(kind: ConditionKind) -> ReportedCondition {
    ReportedCondition {
        kind,
        since: second(3),
        cause: "the cause".to_owned(),
        partition: None,
        offset: None,
        set_by: None,
    }
}

fn with(member: MemberReport, condition: ReportedCondition) -> MemberReport {
    MemberReport {
        conditions: vec![condition],
        ..member
    }
}

/// A reading 5 s after the group was caught up. Six records wait, two on each partition.
fn a_few_wait() -> SimulatedGroup {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 2, 5).poll();
    (0..3).for_each(|partition| group.produce(PAYMENTS, partition, 2));
    group.poll()
}

#[test]
fn a_member_that_makes_no_progress_is_found_at_once() {
    use ConditionKind::*;
    let cases = [
        (LoopEnded, Status::Critical, Rule::Halted),
        (Halted, Status::Critical, Rule::Halted),
        (Blocked, Status::Critical, Rule::Blocked),
        (TopicMissing, Status::Critical, Rule::TopicMissing),
        (BatchFailing, Status::Warning, Rule::BatchFailing),
        (SilentPartition, Status::Warning, Rule::BatchFailing),
        (BrokerUnreachable, Status::Warning, Rule::Joining),
        (Paused, Status::Warning, Rule::Paused),
        (Joining, Status::Ok, Rule::KeepsUp),
    ];
    for (kind, status, rule) in cases {
        let members = [with(member(1, &[0, 1]), condition(kind)), member(2, &[2])];
        let health = a_few_wait().assess_with(Some(PAYMENTS), &members);
        assert_eq!((health.status(), health.rule()), (status, rule), "{kind:?}");
    }
}

#[test]
fn the_evidence_names_member_partition_offset_time_and_cause() {
    let blocked = ReportedCondition {
        partition: Some(at(1)),
        offset: Some(226),
        cause: "blocked before payments/1 offset 226, event of order 7: POISON_POLICY=block"
            .to_owned(),
        ..condition(ConditionKind::Blocked)
    };
    let members = [with(member(2, &[1]), blocked)];
    let group = a_few_wait();
    let health = group.assess_with(Some(PAYMENTS), &members);
    let evidence = "inventory-service.2: blocked before payments/1 offset 226, event of order 7: POISON_POLICY=block (since 00:00:03 UTC)";
    assert_eq!(health.evidence(), evidence);
    assert_eq!(health.findings()[0].offset, Some(226));
    let other = group.assess_with(None, &members);
    assert_eq!(other.rule(), Rule::Blocked);
}

#[test]
fn a_condition_on_another_topic_is_no_finding_here() {
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5);
    group.topic(ORDERS, 1, 1);
    let elsewhere = ReportedCondition {
        partition: Some(at(0)),
        ..condition(ConditionKind::Blocked)
    };
    let members = [with(member(1, &[0]), elsewhere)];
    let group = group.poll();
    assert_eq!(
        group.assess_with(Some(PAYMENTS), &members).rule(),
        Rule::Blocked
    );
    assert_eq!(
        group.assess_with(Some(ORDERS), &members).rule(),
        Rule::KeepsUp
    );
}

#[test]
fn a_pause_is_one_finding_with_source_time_and_number_of_records() {
    let pause = ReportedCondition {
        set_by: Some(SetBy::Group),
        ..condition(ConditionKind::Paused)
    };
    let both = [
        with(member(1, &[0, 1]), pause.clone()),
        with(member(2, &[2]), pause.clone()),
    ];
    let group = a_few_wait();
    let health = group.assess_with(None, &both);
    let evidence =
        "all 2 members are paused by a control of the group since 00:00:03 UTC; 6 records wait";
    assert_eq!(health.evidence(), evidence);
    let one = [with(member(1, &[0]), pause.clone()), member(2, &[1, 2])];
    let evidence = "inventory-service.1 is paused by a control of the group since 00:00:03 UTC; 2 records wait";
    assert_eq!(group.assess_with(None, &one).evidence(), evidence);

    let caught_up = SimulatedGroup::of(PAYMENTS, 3, 2, 5).poll();
    let health = caught_up.assess_with(None, &both);
    assert_eq!((health.status(), health.rule()), (Status::Ok, Rule::Paused));
}

#[test]
fn the_cause_replaces_what_the_cluster_shows_of_it() {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 3, 5);
    (0..3).for_each(|partition| group.produce(PAYMENTS, partition, 50));
    let stopped = group.run(100, |_, _| {});
    assert_eq!(stopped.assess(None).rule(), Rule::Stopped);
    let paused = [with(
        member(1, &[0, 1, 2]),
        condition(ConditionKind::Paused),
    )];
    let health = stopped.assess_with(None, &paused);
    let rules: Vec<Rule> = health.findings().iter().map(|one| one.rule).collect();
    assert_eq!(rules, [Rule::Paused, Rule::AboveWarning]);
}

#[test]
fn a_failing_batch_or_a_join_is_graver_after_a_minute() {
    let group = SimulatedGroup::of(PAYMENTS, 1, 1, 5).run(100, |_, _| {});
    let failing = [with(
        member(1, &[0]),
        condition(ConditionKind::BatchFailing),
    )];
    let health = group.assess_with(None, &failing);
    assert_eq!(
        (health.status(), health.rule()),
        (Status::Critical, Rule::BatchFailing)
    );
    let joining = [with(member(1, &[]), condition(ConditionKind::Joining))];
    let health = group.assess_with(None, &joining);
    assert_eq!(
        (health.status(), health.rule()),
        (Status::Warning, Rule::Joining)
    );
}

#[test]
fn a_cause_comes_before_the_lag_that_it_has_led_to() {
    use ConditionKind::*;
    let mut group = SimulatedGroup::of(PAYMENTS, 1, 1, 5).poll();
    group.produce(PAYMENTS, 0, 900);
    let group = group.poll();
    for kind in [BatchFailing, SilentPartition, BrokerUnreachable, Paused] {
        let members = [with(member(1, &[0]), condition(kind))];
        let health = group.assess_with(None, &members);
        let rules: Vec<Rule> = health.findings().iter().map(|one| one.rule).collect();
        assert!(rules.contains(&Rule::AboveCritical), "{kind:?}: {rules:?}");
        assert_ne!(rules[0], Rule::AboveCritical, "{kind:?}: {rules:?}");
    }
}

fn slow(set_by: SetBy) -> Option<ProcessingTime> {
    Some(ProcessingTime {
        time: Duration::from_secs(4),
        batch_max: 1,
        set_by,
        since: Some(second(3)),
    })
}

#[test]
fn a_member_that_is_slow_by_its_settings_is_named_if_records_wait_for_it() {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 3, 5);
    (0..3).for_each(|partition| group.produce(PAYMENTS, partition, 150));
    for partition in [0, 2] {
        group.read(PAYMENTS, partition, 150);
    }
    let group = group.poll();
    let members = |partition| {
        [
            member(1, &[0]),
            MemberReport {
                processing_time: slow(SetBy::Instance),
                ..member(2, &[partition])
            },
        ]
    };
    let health = group.assess_with(None, &members(1));
    let evidence = "payments[1]: its owner inventory-service.2 works 4000 ms on a record, set for this instance alone since 00:00:03 UTC; 150 records wait on its partitions";
    assert_eq!(health.evidence(), evidence);
    assert_eq!(health.rule(), Rule::SlowMember);
    assert_ne!(
        group.assess_with(None, &members(2)).rule(),
        Rule::SlowMember
    );
    let caught_up = SimulatedGroup::of(PAYMENTS, 3, 3, 5).poll();
    assert_eq!(
        caught_up.assess_with(None, &members(1)).rule(),
        Rule::KeepsUp
    );
}

#[test]
fn slow_members_are_named_if_their_records_wait_together() {
    let mut group = SimulatedGroup::of(PAYMENTS, 3, 3, 5).poll();
    (0..3).for_each(|partition| group.produce(PAYMENTS, partition, 60));
    let members = [0, 1, 2].map(|partition| MemberReport {
        processing_time: slow(SetBy::Group),
        ..member(1, &[partition])
    });
    let health = group.poll().assess_with(None, &members);
    assert_eq!(health.rule(), Rule::SlowMember);
}

/// The rules that depend on what members say have their cases here.
pub fn rules() -> BTreeSet<Rule> {
    use Rule::*;
    [
        Halted,
        Blocked,
        TopicMissing,
        BatchFailing,
        Paused,
        Joining,
        SlowMember,
    ]
    .into()
}
