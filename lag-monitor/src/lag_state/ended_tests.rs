//! Alerts end: with their group, with their topic, and when a loss is acknowledged; and instances
//! that do not answer are named.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use cluster_reader::group_health::Status;
use cluster_reader::{GroupMember, Lag, LagCount, LogOffsets, Owner, PartitionLag, TopicPartition};
use shared_events::Service;
use shared_events::autoscaler_api::{AutoscalerReason, AutoscalerReport};
use shared_events::member_api::MemberStats;

use super::tests::{group, new_state, pair, second, snapshot};
use super::*;
use crate::instances::{InstanceReport, NoAnswer};

/// Level, end and message of each alert, oldest first.
fn alerts(state: &LagState) -> Vec<(&'static str, Option<DateTime<Utc>>, String)> {
    let newest_first = state.alerts(None, 100).into_iter();
    let alerts = newest_first.map(|one| (one.level, one.ended_at, one.message.clone()));
    let mut alerts: Vec<_> = alerts.collect();
    alerts.reverse();
    alerts
}

fn log(log_start: i64, end: i64) -> LogOffsets {
    LogOffsets {
        log_start,
        last_stable: end,
        high_watermark: end,
    }
}

/// The snapshot with the topics `payments` and, if wanted, `orders`.
fn with_topics(mut snapshot: Snapshot, topics: &[&str]) -> Snapshot {
    let offsets = BTreeMap::from([(0, log(0, 9))]);
    let topics = topics.iter();
    snapshot.topics = topics
        .map(|topic| ((*topic).to_owned(), offsets.clone()))
        .collect();
    snapshot
}

fn member() -> GroupMember {
    GroupMember {
        owner: Owner {
            member_id: "m".to_owned(),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
        },
        instance_id: None,
        assignment: Vec::new(),
    }
}

#[test]
fn an_alert_ends_when_its_group_is_deleted() {
    let state = new_state();
    state.record_snapshot(with_topics(snapshot(5, &[("h", 9)]), &["payments"]));
    state.record_snapshot(with_topics(snapshot(10, &[]), &["payments"]));
    state.record_snapshot(with_topics(snapshot(15, &[]), &["payments"]));
    let alerts = alerts(&state);
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert_eq!((alerts[0].0, alerts[0].1), ("critical", Some(second(10))));
    assert_eq!((alerts[1].0, alerts[1].1), ("ok", Some(second(10))));
    let message = "h on payments: ended: the group does not exist any more";
    assert_eq!(alerts[1].2, message);
}

#[test]
fn an_alert_ends_when_its_topic_is_deleted() {
    let state = new_state();
    state.record_snapshot(with_topics(snapshot(5, &[("h", 9)]), &["payments"]));
    let mut without = with_topics(snapshot(10, &[("h", 9)]), &["orders"]);
    without.groups.get_mut("h").unwrap().partitions.clear();
    state.record_snapshot(without);
    let alerts = alerts(&state);
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert_eq!(alerts[0].1, Some(second(10)));
    let message = "h on payments: ended: the topic does not exist any more";
    assert_eq!((alerts[1].0, alerts[1].2.as_str()), ("ok", message));
}

#[test]
fn a_topic_that_is_deleted_under_members_raises_an_alert_until_it_is_back() {
    let at = |second: i64, topics: &[&str]| {
        let mut taken = with_topics(snapshot(second, &[("h", 0)]), topics);
        let group = taken.groups.get_mut("h").unwrap();
        group.members = vec![member()];
        if !topics.contains(&"payments") {
            group.partitions.clear();
        }
        taken
    };
    let state = new_state();
    state.record_snapshot(at(5, &["payments"]));
    state.record_snapshot(at(10, &["orders"]));
    state.record_snapshot(at(15, &["orders"]));
    let raised = alerts(&state);
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0, raised[0].1), ("critical", None));
    assert!(raised[0].2.starts_with("h on payments: "), "{raised:?}");
    state.record_snapshot(at(20, &["payments", "orders"]));
    let ended = alerts(&state);
    assert_eq!((ended[0].1, ended[1].0), (Some(second(20)), "ok"));
}

#[test]
fn a_loss_is_known_until_it_is_acknowledged_and_then_its_alert_ends() {
    let at = |second: i64, committed: i64, log_start: i64| {
        let mut taken = with_topics(snapshot(second, &[("g", 0)]), &["payments"]);
        let group = taken.groups.get_mut("g").unwrap();
        let partition = TopicPartition {
            topic: "payments".to_owned(),
            partition: 0,
        };
        let row: &mut PartitionLag = group.partitions.get_mut(&partition).unwrap();
        row.committed = Some(committed);
        row.log_offsets = Some(log(log_start, 100));
        row.lag = row.lag.map(|lag| Lag {
            readable: LagCount::of(100 - committed),
            ..lag
        });
        group.members = vec![member()];
        taken
    };
    let state = new_state();
    state.record_snapshot(at(5, 10, 0));
    // Between two polls the records 10 to 39 are deleted, and the group reads on.
    state.record_snapshot(at(10, 60, 40));
    for second in [15, 600, 6_000] {
        state.record_snapshot(at(second, 100, 40));
    }
    let raised = alerts(&state);
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!(raised[0].1, None);
    assert!(raised[0].2.contains("payments[0]"), "{raised:?}");
    assert!(raised[0].2.contains("offsets 10 to 39"), "{raised:?}");

    let acknowledge = |topic: &str| state.acknowledge(|_, of| of == topic).losses.len();
    assert_eq!(acknowledge("orders"), 0);
    assert_eq!(acknowledge("payments"), 1);
    assert_eq!(acknowledge("payments"), 0);
    state.record_snapshot(at(6_005, 100, 40));
    let ended = alerts(&state);
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(ended[0].1.is_some());
    assert_eq!(ended[1].0, "ok");
}

#[test]
fn an_instance_that_does_not_answer_is_named_and_does_not_hide_the_others() {
    let state = LagState::new(StateSettings {
        default_group_topic: pair("inventory-service-group"),
        ..new_state().settings().clone()
    });
    let silent = |asked: i64| InstanceReport {
        instance: "inventory-service.2".to_owned(),
        asked_at: second(asked),
        stats: Err(NoAnswer {
            reason: "cannot connect".to_owned(),
            since: second(asked),
        }),
    };
    let evidence = |at: i64| {
        state.record_snapshot(snapshot(at, &[("inventory-service-group", 0)]));
        let name = "inventory-service-group";
        let read = |current: CurrentState<'_>| {
            let health = current.group_health(name, None).unwrap();
            current.evidence(name, &health)
        };
        state.read_current(second(at), read).unwrap()
    };
    state.record_reports(vec![silent(4)]);
    state.record_reports(vec![silent(9)]);
    let expected = "caught up; the group has no member; inventory-service.2 has not answered since 1970-01-01 00:00:04 UTC: cannot connect";
    assert_eq!(evidence(10), expected);
    // Answers as old as three polls are not current any more.
    assert_eq!(evidence(60), "caught up; the group has no member");
}

#[test]
fn the_answer_of_a_member_is_read_as_the_service_sends_it() {
    let json = include_str!("../../tests/member_stats.json");
    let stats: MemberStats = serde_json::from_str(json).unwrap();
    let state = new_state();
    state.record_reports(vec![InstanceReport {
        instance: "inventory-service.2".to_owned(),
        asked_at: second(4),
        stats: Ok(stats),
    }]);
    let mut taken = snapshot(5, &[]);
    let name = "inventory-service-group";
    taken.groups.insert(name.to_owned(), group("payments", 7));
    state.record_snapshot(taken);
    let health = state.read_current(second(5), |current| {
        current.group_health(name, Some("payments")).unwrap()
    });
    let health = health.unwrap();
    let rules: Vec<&str> = health
        .findings()
        .iter()
        .map(|one| one.rule.name())
        .collect();
    assert!(rules.contains(&"blocked"), "{health:?}");
    assert!(
        health.evidence().contains("POISON_POLICY=block"),
        "{health:?}"
    );
}

#[test]
fn a_topic_that_was_missing_from_the_start_raises_an_alert() {
    let json = include_str!("../../tests/member_stats.json");
    let mut stats: MemberStats = serde_json::from_str(json).unwrap();
    stats.assignment.clear();
    let condition = &mut stats.conditions[0];
    condition.kind = shared_events::member_api::ConditionKind::TopicMissing;
    condition.cause = "topic payments does not exist: ./sandbox topics create".to_owned();
    condition.partitions.clear();
    let state = new_state();
    state.record_reports(vec![InstanceReport {
        instance: "inventory-service.2".to_owned(),
        asked_at: second(4),
        stats: Ok(stats),
    }]);
    let mut taken = with_topics(snapshot(5, &[]), &["orders"]);
    let mut joined = group("payments", 0);
    joined.partitions.clear();
    joined.members = vec![member()];
    let name = "inventory-service-group";
    taken.groups.insert(name.to_owned(), joined);
    state.record_snapshot(taken);
    let raised = alerts(&state);
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert_eq!((raised[0].0, raised[0].1), ("critical", None));
    let message =
        "inventory-service-group on payments: inventory-service.2: topic payments does not exist";
    assert!(raised[0].2.starts_with(message), "{raised:?}");
}

#[test]
fn the_alert_of_a_pair_that_others_have_displaced_ends() {
    let state = new_state();
    state.record_snapshot(snapshot(5, &[("z", 9)]));
    let mut many = snapshot(10, &[("z", 9)]);
    for n in 0..MAX_GROUP_TOPICS {
        many.groups.insert(format!("a{n:04}"), group("payments", 0));
    }
    state.record_snapshot(many);
    let alerts = alerts(&state);
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert_eq!(alerts[0].1, Some(second(10)));
    assert!(
        alerts[1]
            .2
            .contains("z on payments: ended: not evaluated any more"),
        "{alerts:?}"
    );
}

#[test]
fn a_group_that_its_autoscaler_has_scaled_to_zero_has_no_members_on_purpose() {
    let name = "inventory-service-group";
    let state = new_state();
    let report = |actual| AutoscalerReport {
        desired: 0,
        actual,
        reason: AutoscalerReason::Cooldown,
        explanation: "lag 0 / 10 = 0 → 0".to_owned(),
        valid_seconds: 30,
    };
    let seen = |at: i64, lag: i64| {
        state.record_snapshot(snapshot(at, &[(name, lag)]));
        let read = |current: CurrentState<'_>| {
            let health = current.group_health(name, None).unwrap();
            (health.status(), current.evidence(name, &health))
        };
        state.read_current(second(at), read).unwrap()
    };
    state.record_autoscaler(Service::Inventory, report(1), second(1));
    let (status, evidence) = seen(5, 0);
    assert_eq!(status, Status::Ok);
    let expected = "caught up; the group has no member, because it is scaled to 0 on purpose; autoscaler: lag 0 / 10 = 0 → 0";
    assert_eq!(evidence, expected);
    assert_eq!(
        seen(10, 3).0,
        Status::Ok,
        "records of a group at 0 wait for its autoscaler"
    );
    // The autoscaler has ended.
    let (status, evidence) = seen(40, 3);
    assert_eq!(status, Status::Critical, "{evidence}");
    assert!(!evidence.contains("autoscaler"), "{evidence}");
    assert_eq!(state.autoscaler(Service::Inventory, second(40)), None);
}
