//! What the members of a group say about themselves.
//!
//! The cluster shows that a group makes no progress; its members know why. The caller asks them
//! (`GET /stats` of a service) and passes the answers to [`assess`](super::assess).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::TopicPartition;

/// One member's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// The name of the instance: `inventory-service.2`.
    pub instance: String,
    /// The partitions that the member is assigned.
    pub assignment: BTreeSet<TopicPartition>,
    /// What keeps the member from its work.
    pub conditions: Vec<ReportedCondition>,
    /// The member's simulated work. `None` if it works as fast as it can.
    pub processing_time: Option<ProcessingTime>,
}

/// One thing that keeps a member from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedCondition {
    /// What it is.
    pub kind: ConditionKind,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The cause in one line, with partition and offsets if it has any.
    pub cause: String,
    /// The partition concerned. `None` if it is the whole member.
    pub partition: Option<TopicPartition>,
    /// The offset before which the member is blocked, or the first one of a failing batch.
    pub offset: Option<i64>,
    /// Who has paused the member.
    pub set_by: Option<SetBy>,
}

/// The kinds of [`ReportedCondition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionKind {
    /// The consumer loop has ended.
    LoopEnded,
    /// The member has halted until it is resumed.
    Halted,
    /// The member is blocked before a poison record.
    Blocked,
    /// No broker can be reached by the member.
    BrokerUnreachable,
    /// A batch fails and is retried.
    BatchFailing,
    /// A consumed topic does not exist.
    TopicMissing,
    /// The member has not joined its group yet.
    Joining,
    /// The broker does not return the committed offset of a partition.
    SilentPartition,
    /// The member is paused.
    Paused,
}

/// Simulated work of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessingTime {
    /// For each batch.
    pub time: Duration,
    /// The most records in a batch.
    pub batch_max: u32,
    /// Who has set it.
    pub set_by: SetBy,
    /// Since when it has been in force, if that is known.
    pub since: Option<DateTime<Utc>>,
}

/// The source of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The environment of the process.
    Environment,
    /// A control of the whole group.
    Group,
    /// The HTTP interface of this instance.
    Instance,
}

impl fmt::Display for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "by its environment",
            Self::Group => "by a control of the group",
            Self::Instance => "for this instance alone",
        })
    }
}
