//! Snapshots of one consumer group, for the tests of the recommendations.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{GroupHealth, History, Thresholds, assess};
use cluster_reader::{
    Group, GroupMember, Lag, LagCount, LogOffsets, Owner, PartitionLag, Protocol, Snapshot,
    TopicPartition,
};
use service_kit::Mode;
use shared_events::NamePrefix;

use crate::instances::{InstanceReport, NoAnswer, member_reports};
use crate::recommend::RecommendContext;

pub const GROUP_ID: &str = "inventory-service-group";

/// A group on a topic. Each partition has one owner, and its committed offset is 10.
pub struct TestGroup {
    pub group: &'static str,
    pub topic: &'static str,
    pub mode: Mode,
    pub partitions: i32,
    pub members: usize,
    /// Lag of each partition, in records.
    pub lag: i64,
    pub log_start_offset: i64,
}

pub const SLOW_GROUP: TestGroup = TestGroup {
    group: GROUP_ID,
    topic: "payments",
    mode: Mode::Local,
    partitions: 3,
    members: 1,
    lag: 300,
    log_start_offset: 0,
};

fn member(n: usize) -> GroupMember {
    GroupMember {
        owner: Owner {
            member_id: format!("m{n}"),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
        },
        instance_id: None,
        assignment: Vec::new(),
    }
}

pub fn snapshot(group: &TestGroup, taken_at: DateTime<Utc>) -> Snapshot {
    let partitions = (0..group.partitions).map(|partition| TopicPartition {
        topic: group.topic.to_owned(),
        partition,
    });
    let partitions: Vec<TopicPartition> = partitions.collect();
    let end = 10 + group.lag;
    let log_offsets = LogOffsets {
        log_start: group.log_start_offset,
        last_stable: end,
        high_watermark: end,
    };
    let lag = Lag {
        readable: LagCount::of(group.lag),
        lost: LagCount::of(group.log_start_offset - 10),
        deleted_offsets: (group.log_start_offset - 10).max(0),
        ..Lag::default()
    };
    let mut members: Vec<_> = (0..group.members).map(member).collect();
    for (n, partition) in partitions.iter().enumerate() {
        if !members.is_empty() {
            let owner = n % members.len();
            members[owner].assignment.push(partition.clone());
        }
    }
    let partition_lag = |partition: &TopicPartition| PartitionLag {
        committed: Some(10),
        log_offsets: Some(log_offsets),
        owner: members
            .iter()
            .find(|one| one.assignment.contains(partition))
            .map(|one| one.owner.clone()),
        lag: Ok(lag),
    };
    let state = if members.is_empty() {
        "Empty"
    } else {
        "Stable"
    };
    let group_snapshot = Group {
        state: state.to_owned(),
        protocol: Protocol::Classic,
        partitions: partitions
            .iter()
            .map(|partition| (partition.clone(), partition_lag(partition)))
            .collect(),
        members,
    };
    let numbers = partitions.iter().map(|at| (at.partition, log_offsets));
    Snapshot {
        replicas: BTreeMap::new(),
        taken_at,
        groups: BTreeMap::from([(group.group.to_owned(), group_snapshot)]),
        topics: BTreeMap::from([(group.topic.to_owned(), numbers.collect())]),
    }
}

/// Calls `evaluate` with the group's health after these snapshots, and with these answers of its
/// instances.
pub fn after<T>(
    group: &TestGroup,
    snapshots: impl IntoIterator<Item = Snapshot>,
    instances: &[InstanceReport],
    evaluate: impl FnOnce(RecommendContext<'_>, &GroupHealth) -> T,
) -> T {
    let mut history = History::default();
    snapshots.into_iter().for_each(|one| history.add(one));
    let topic = Some(group.topic);
    let members = member_reports(instances);
    let thresholds = Thresholds::default();
    let health = assess(&history, group.group, topic, thresholds, &members).unwrap();
    let context = RecommendContext {
        mode: group.mode,
        prefix: &NamePrefix::default(),
        snapshot: history.latest().unwrap(),
        instances,
        group: group.group,
        topic: group.topic,
        offsets_hang: false,
    };
    evaluate(context, &health)
}

/// The answer of an instance: a member that works, changed by these fields of its JSON.
pub fn instance(number: usize, partitions: &[i32], changes: &serde_json::Value) -> InstanceReport {
    let mut stats = serde_json::json!({
        "instance_id": number.to_string(),
        "group_id": GROUP_ID,
        "topic": "payments",
        "processing_time_ms": 0,
        "running": true,
        "paused": false,
        "messages_processed": 7,
        "last_message_time": "2026-11-28T03:53:17.412Z",
        "assigned_partitions": partitions,
        "assignment": {"payments": partitions},
        "applied": {"processing_time_ms": 0, "batch_max": 500},
        "config": {
            "processing_time_ms": 0,
            "batch_max": 500,
            "paused": false,
            "crash_at": "none", "protection_off": "none", "unsafe_allowed": false, "faults_ignored": false,
            "sources": {"processing_time_ms": "default", "batch_max": "default", "paused": "default",
                "crash_at": "default", "protection_off": "default"},
            "since": {"processing_time_ms": null, "batch_max": null, "paused": null},
        },
        "conditions": [],
        "records_lost": [],
    });
    merge(&mut stats, changes);
    InstanceReport {
        instance: format!("inventory-service.{number}"),
        asked_at: DateTime::UNIX_EPOCH,
        stats: Ok(serde_json::from_value(stats).unwrap()),
    }
}

pub fn silent_instance(number: usize) -> InstanceReport {
    InstanceReport {
        instance: format!("inventory-service.{number}"),
        asked_at: DateTime::UNIX_EPOCH,
        stats: Err(NoAnswer {
            reason: "cannot connect".to_owned(),
            since: DateTime::UNIX_EPOCH,
        }),
    }
}

fn merge(into: &mut serde_json::Value, changes: &serde_json::Value) {
    match (into.as_object_mut(), changes.as_object()) {
        (Some(fields), Some(changes)) => {
            for (name, value) in changes {
                merge(fields.get_mut(name).unwrap(), value);
            }
        }
        _ => into.clone_from(changes),
    }
}
