//! What one poll returns: every consumer group, every topic, and the lag of each group.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::lag::{Lag, LagUndefined, LogOffsets};

/// The cluster at one moment. A snapshot is complete: a poll that cannot read everything is an
/// error.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When the offsets were read, by the clock of this machine.
    pub taken_at: DateTime<Utc>,
    /// Every consumer group, by name.
    pub groups: BTreeMap<String, Group>,
    /// The log offsets of every partition, by topic and partition number. A topic without
    /// partitions has an empty map.
    pub topics: BTreeMap<String, BTreeMap<i32, LogOffsets>>,
    /// The replicas of every partition of [`Snapshot::topics`], as the controller knew them.
    pub replicas: BTreeMap<TopicPartition, Replicas>,
}

/// The replicas of a partition: ids of brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// The broker that takes writes.
    pub leader: i32,
    /// All brokers with a replica, whether they run or not.
    pub all: Vec<i32>,
    /// The brokers whose replica is in sync (ISR), the leader included.
    pub in_sync: Vec<i32>,
}

impl Replicas {
    /// Whether a replica is missing or behind: fewer are in sync than there are.
    pub fn is_under_replicated(&self) -> bool {
        self.in_sync.len() < self.all.len()
    }
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name on the broker.
    pub topic: String,
    /// The partition number, from 0.
    pub partition: i32,
}

/// The rebalance protocol of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A member assigns the partitions (JoinGroup, SyncGroup).
    Classic,
    /// The broker assigns the partitions (KIP-848).
    Consumer,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Kafka's name of the state: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`,
    /// `Assigning`, `Reconciling` or `Dead`.
    pub state: String,
    /// The rebalance protocol.
    pub protocol: Protocol,
    /// The members, in the order in which the broker lists them.
    pub members: Vec<GroupMember>,
    /// Every partition that the group has committed an offset for or that a member is assigned.
    pub partitions: BTreeMap<TopicPartition, PartitionLag>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The member's ids and host.
    pub owner: Owner,
    /// `group.instance.id`, if the member is static.
    pub instance_id: Option<String>,
    /// The partitions assigned to the member, in order. Partitions that do not exist are left out.
    pub assignment: Vec<TopicPartition>,
}

/// The member that a partition is assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The coordinator's id of the member. It changes at each start of the member, so it is no
    /// label for a metric.
    pub member_id: String,
    /// `client.id` of the member.
    pub client_id: String,
    /// The member's host, as the broker sees it.
    pub host: String,
}

/// A group on one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionLag {
    /// The committed offset: that of the record which the group reads next. `None` if the group
    /// has committed none.
    pub committed: Option<i64>,
    /// The log offsets; `None` if the partition does not exist any more.
    pub log_offsets: Option<LogOffsets>,
    /// The member that the partition is assigned to.
    pub owner: Option<Owner>,
    /// The lag, or why it is undefined.
    pub lag: Result<Lag, LagUndefined>,
}

impl Snapshot {
    /// A group with a row for each partition of these topics. Partitions that the group has neither
    /// committed for nor is assigned are added with an undefined lag: while a group rebalances no
    /// partition is assigned, and a partition without a commit would be missing.
    ///
    /// A group that is not in the snapshot is returned in state `Dead`, without members.
    pub fn group_on_topics(&self, group: &str, topics: &[String]) -> Group {
        let found = self.groups.get(group).cloned();
        let mut group = found.unwrap_or_else(|| Group {
            state: "Dead".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: BTreeMap::new(),
        });
        for topic in topics {
            for (partition, log) in self.topics.get(topic).into_iter().flatten() {
                let at = TopicPartition {
                    topic: topic.clone(),
                    partition: *partition,
                };
                let row = || PartitionLag::without_commit(*log);
                group.partitions.entry(at).or_insert_with(row);
            }
        }
        group
    }
}

impl PartitionLag {
    /// A partition that the group has not committed for. Its records were not scanned.
    fn without_commit(log: LogOffsets) -> Self {
        let is_empty = log.log_start == log.last_stable;
        Self {
            committed: None,
            log_offsets: Some(log),
            owner: None,
            lag: Err(if is_empty {
                LagUndefined::NoRecordYet
            } else {
                LagUndefined::NothingCommitted
            }),
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}
