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
    Group, GroupMember, Lag, LogOffsets, Owner, PartitionLag, Protocol, Snapshot, TopicPartition,
};
use service_kit::Mode;
use shared_events::NamePrefix;

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
        readable: group.lag,
        is_upper_bound: false,
        control_records: 0,
        aborted_records: 0,
        beyond_last_stable: 0,
        lost: (group.log_start_offset - 10).max(0),
        oldest_unread: None,
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
        taken_at,
        groups: BTreeMap::from([(group.group.to_owned(), group_snapshot)]),
        topics: BTreeMap::from([(group.topic.to_owned(), numbers.collect())]),
    }
}

/// Calls `evaluate` with the group's health after these snapshots.
pub fn after<T>(
    group: &TestGroup,
    snapshots: impl IntoIterator<Item = Snapshot>,
    evaluate: impl FnOnce(RecommendContext<'_>, &GroupHealth) -> T,
) -> T {
    let mut history = History::default();
    snapshots.into_iter().for_each(|one| history.add(one));
    let topic = Some(group.topic);
    let health = assess(&history, group.group, topic, Thresholds::default()).unwrap();
    let context = RecommendContext {
        mode: group.mode,
        prefix: &NamePrefix::default(),
        snapshot: history.latest().unwrap(),
        group: group.group,
        topic: group.topic,
    };
    evaluate(context, &health)
}
