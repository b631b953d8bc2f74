//! What one poll found: every group, every topic, and how far each group is behind. The one meaning of lag.
//!
//! Lag is what a `read_committed` consumer would still get. What Kafka's own tool calls LAG holds more; for each partition
//! `tool's LAG = readable + control_records + aborted_records + beyond_stable + lost`.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

/// The cluster at one moment. Either all of it was read, or there is no snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When the poll ended, by the clock of this machine.
    pub taken_at: DateTime<Utc>,
    /// Every consumer group, by name.
    pub groups: BTreeMap<String, Group>,
    /// The ends of each partition of every topic, by topic and number.
    pub topics: BTreeMap<String, BTreeMap<i32, Ends>>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name on the broker.
    pub topic: String,
    /// Its number, from 0.
    pub partition: i32,
}

/// Where a partition begins and ends; `low <= stable <= high` in a log that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Offset of the oldest record that is still there (`log_start_offset`).
    pub low: i64,
    /// Where a `read_committed` consumer must stop: the first offset of the oldest open transaction (last stable offset).
    pub stable: i64,
    /// The offset that the next record will get (high watermark).
    pub high: i64,
}

/// Which protocol a group rebalances by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The members assign (JoinGroup, SyncGroup).
    Classic,
    /// The broker assigns (KIP-848).
    Consumer,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Assigning`, `Reconciling`, `Dead`.
    pub state: String,
    /// How it rebalances.
    pub protocol: Protocol,
    /// Its members, in the order in which the broker lists them.
    pub members: Vec<GroupMember>,
    /// Every partition it has committed for or is assigned.
    pub partitions: BTreeMap<TopicPartition, PartitionLag>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Who it is.
    pub owner: Owner,
    /// `group.instance.id`, if it is static.
    pub instance_id: Option<String>,
    /// The partitions it was assigned, in order.
    pub owns: Vec<TopicPartition>,
}

/// Who owns a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The coordinator's name for the member. Never a label: it is new with each start.
    pub member_id: String,
    /// What the member calls itself (`client.id`).
    pub client_id: String,
    /// Where it is, as the broker sees it.
    pub host: String,
}

/// A group on one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionLag {
    /// The offset of the record that the group reads next, if it ever committed one.
    pub committed: Option<i64>,
    /// The partition's ends; `None` if there is no such partition any more.
    pub ends: Option<Ends>,
    /// The member it is assigned to.
    pub owner: Option<Owner>,
    /// How far behind, or why that cannot be said.
    pub lag: Result<Lag, NoLag>,
}

/// What lies between a committed offset and the end, records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// What a `read_committed` consumer would still get.
    pub readable: i64,
    /// The walk over the unread records did not reach the stable offset: `control_records` and `aborted_records` may be more,
    /// and `readable` less by as many.
    pub at_least: bool,
    /// Commit and abort markers among the unread records. No consumer is ever given one.
    pub control_records: i64,
    /// Records of aborted transactions.
    pub aborted_records: i64,
    /// Offsets from the stable offset to the end: an open transaction, and what came after it began.
    pub beyond_stable: i64,
    /// Records deleted before they were read.
    pub lost: i64,
    /// The timestamp of the oldest readable record, if there is one.
    pub oldest_unread: Option<DateTime<Utc>>,
}

/// Why a partition has no lag to speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLag {
    /// The group has committed nothing, and the partition never held a readable record.
    NoRecordYet,
    /// The group has committed nothing, though there are records.
    NothingCommitted,
    /// The group has committed an offset beyond the end: the topic was made anew.
    CommittedBeyondEnd,
    /// There is no such partition any more: the topic was deleted.
    TopicDeleted,
}

impl fmt::Display for NoLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecordYet => "no record yet",
            Self::NothingCommitted => "nothing committed",
            Self::CommittedBeyondEnd => "committed beyond the end",
            Self::TopicDeleted => "topic deleted",
        })
    }
}
