//! How long data is current, when alerts are raised, and the limits of the histories.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use cluster_reader::{Group, Lag, LagCount, LogOffsets, PartitionLag, Protocol, TopicPartition};

use super::*;

pub(super) fn pair(group: &str) -> GroupTopic {
    GroupTopic {
        group: group.to_owned(),
        topic: "payments".to_owned(),
    }
}

pub(super) fn new_state() -> LagState {
    LagState::new(StateSettings {
        thresholds: Thresholds::default(),
        poll_interval: Duration::from_secs(5),
        default_group_topic: pair("g"),
        name_prefix: NamePrefix::default(),
    })
}

pub(super) fn second(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
}

/// A group without members and with this lag.
pub(super) fn group(topic: &str, readable: i64) -> Group {
    let lag = Lag {
        readable: LagCount::of(readable),
        ..Lag::default()
    };
    let partition_lag = PartitionLag {
        committed: Some(0),
        log_offsets: Some(LogOffsets {
            log_start: 0,
            last_stable: readable,
            high_watermark: readable,
        }),
        owner: None,
        lag: Ok(lag),
    };
    let topic = topic.to_owned();
    Group {
        state: "Empty".to_owned(),
        protocol: Protocol::Classic,
        members: Vec::new(),
        partitions: BTreeMap::from([(
            TopicPartition {
                topic,
                partition: 0,
            },
            partition_lag,
        )]),
    }
}

pub(super) fn snapshot(at: i64, groups: &[(&str, i64)]) -> Snapshot {
    let groups = groups.iter();
    Snapshot {
        replicas: BTreeMap::new(),
        taken_at: second(at),
        groups: groups
            .map(|(name, lag)| ((*name).to_owned(), group("payments", *lag)))
            .collect(),
        topics: BTreeMap::new(),
    }
}

fn current_at(state: &LagState, at: i64) -> Result<(), StaleData> {
    state.read_current(second(at), |_| ())
}

#[test]
fn data_is_stale_after_three_intervals_or_a_failed_poll() {
    let state = new_state();
    assert_eq!(current_at(&state, 0), Err(StaleData { last_success: None }));
    state.record_snapshot(snapshot(100, &[("g", 0)]));
    let stale = Err(StaleData {
        last_success: Some(second(100)),
    });
    assert_eq!(current_at(&state, 115), Ok(()));
    assert_eq!(current_at(&state, 116), stale);
    state.record_failure("timeout");
    assert_eq!(current_at(&state, 101), stale);
    state.record_snapshot(snapshot(105, &[("g", 0)]));
    assert_eq!(current_at(&state, 106), Ok(()));
    let counts = state.poll_counts();
    assert_eq!((counts.polls, counts.errors["timeout"]), (3, 1));
}

#[test]
fn an_alert_is_raised_by_a_change_and_not_by_a_poll() {
    let state = new_state();
    for (at, lag) in [
        (5, 0),
        (10, 0),
        (15, 7),
        (20, 8),
        (25, 600),
        (30, 0),
        (35, 0),
    ] {
        state.record_snapshot(snapshot(at, &[("g", lag)]));
    }
    let alerts = state.alerts(None, 10);
    let alerts: Vec<_> = alerts
        .iter()
        .map(|one| (one.level, one.timestamp, one.ended_at))
        .collect();
    let end = Some(second(30));
    let expected = [("ok", second(30), end), ("critical", second(15), end)];
    assert_eq!(alerts, expected);
    assert_eq!(state.alerts(None, 1).len(), 1);
    assert_eq!(state.alerts(Some(&pair("g")), 10).len(), 2);
    assert_eq!(state.alerts(Some(&pair("h")), 10).len(), 0);
    state.clear_alerts();
    state.record_snapshot(snapshot(40, &[("g", 0)]));
    assert_eq!(state.alerts(None, 10).len(), 0);
}

#[test]
fn a_new_group_raises_an_alert_only_if_it_is_not_ok() {
    let state = new_state();
    state.record_snapshot(snapshot(5, &[("bad", 3), ("good", 0)]));
    let alerts = state.alerts(None, 10);
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].message.contains("bad on payments"), "{alerts:?}");
    assert_eq!(alerts[0].lag.total_lag, Some(3));
    assert_eq!(alerts[0].ended_at, None);
}

#[test]
fn an_outage_raises_one_alert_and_its_end_another() {
    let state = new_state();
    state.record_snapshot(snapshot(5, &[]));
    (0..5).for_each(|_| state.record_failure("unreachable"));
    state.record_snapshot(snapshot(50, &[]));
    let alerts = state.alerts(None, 10);
    let levels: Vec<_> = alerts.iter().map(|one| one.level).collect();
    assert_eq!(levels, ["ok", "critical"]);
}

#[test]
fn alerts_and_history_have_limits() {
    let state = new_state();
    for n in 0..2_500 {
        state.record_snapshot(snapshot(n, &[("g", n % 2)]));
    }
    assert_eq!(state.alerts(None, usize::MAX).len(), 1_000);
    let samples = state.lag_history(&pair("g"), usize::MAX);
    assert_eq!(samples.len(), 1_000);
    assert_eq!(samples[999].timestamp, second(2_499));
    assert_eq!(state.lag_history(&pair("g"), 2), samples[998..]);
}

#[test]
fn beyond_the_limit_a_group_is_evaluated_when_requested() {
    let state = new_state();
    let mut many = snapshot(5, &[("z", 1)]);
    for n in 0..3_000 {
        many.groups.insert(format!("a{n:04}"), group("payments", 1));
    }
    many.groups.insert("g".to_owned(), group("payments", 1));
    state.record_snapshot(many);
    let evaluated = state.read_current(second(5), |current| {
        let requested = current.group_health("z", Some("payments")).is_some();
        (
            current.health.len(),
            current.health.contains_key(&pair("g")),
            requested,
        )
    });
    assert_eq!(evaluated, Ok((2_000, true, true)));
}

#[test]
fn a_deleted_group_has_no_history() {
    let state = new_state();
    state.record_snapshot(snapshot(5, &[("g", 0), ("h", 0)]));
    state.record_snapshot(snapshot(10, &[("g", 0)]));
    assert_eq!(state.lag_history(&pair("h"), 10).len(), 0);
    assert_eq!(state.lag_history(&pair("g"), 10).len(), 2);
}

#[test]
fn samples_have_each_partition_and_share_one_limit() {
    let state = new_state();
    let mut wide = group("payments", 7);
    let first = wide.partitions.values().next().unwrap().clone();
    for partition in 1..1_000 {
        let partition_lag = PartitionLag {
            lag: Err(cluster_reader::LagUndefined::NothingCommitted),
            ..first.clone()
        };
        let topic = "payments".to_owned();
        wide.partitions
            .insert(TopicPartition { topic, partition }, partition_lag);
    }
    for n in 0..200 {
        let mut snapshot = snapshot(n, &[]);
        snapshot.groups.insert("g".to_owned(), wide.clone());
        state.record_snapshot(snapshot);
    }
    let samples = state.lag_history(&pair("g"), usize::MAX);
    // 100 000 numbers, of which a sample has 1 + 1 000.
    assert_eq!(samples.len(), 99);
    assert_eq!(samples[98].timestamp, second(199));
    assert_eq!(samples[98].partitions.len(), 1_000);
    let first_two = [(0, Some(LagCount::of(7))), (1, None)];
    assert_eq!(samples[98].partitions[..2], first_two);
}
