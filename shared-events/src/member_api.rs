//! The HTTP API of a member's controls, which every service has: the bodies of `GET /config` and
//! `GET /stats`. The tools read it to say why a group does not make progress.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{CrashAt, OrNone, Protection};

/// The source that set a setting. Each overrides the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// No source has set it.
    #[default]
    Default,
    /// `BATCH_MAX`, `PROCESSING_TIME_MS`, `CRASH_AT` or `PROTECTION_OFF`.
    Environment,
    /// The service's record in `sandbox.controls`.
    Group,
    /// The HTTP interface of this instance.
    Instance,
}

/// The effective configuration with its sources: the response to `GET /config`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectiveConfig {
    /// Simulated work, milliseconds per handler call: 0 to 30 000; up to 120 000 as a fault.
    pub processing_time_ms: u32,
    /// Maximum number of records in a batch: 1 to 10 000.
    pub batch_max: u32,
    /// Whether the member takes no records.
    pub paused: bool,
    /// Where this process will kill itself. `none` as well in a process that started after
    /// `since.crash_at`, unless the crash is repeated.
    pub crash_at: OrNone<CrashAt>,
    /// The protection that is off.
    pub protection_off: OrNone<Protection>,
    /// Whether the process obeys faults: it runs with `SANDBOX_UNSAFE=1`.
    pub unsafe_allowed: bool,
    /// Whether the group's record sets a fault that this process ignores, since it may not obey it.
    pub faults_ignored: bool,
    /// The source of each setting.
    pub sources: Sources,
    /// Since when each setting has been in force.
    pub since: Since,
}

/// The source of each setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The source of `processing_time_ms`.
    pub processing_time_ms: Source,
    /// The source of `batch_max`.
    pub batch_max: Source,
    /// The source of `paused`.
    pub paused: Source,
    /// The source of `crash_at`.
    pub crash_at: Source,
    /// The source of `protection_off`.
    pub protection_off: Source,
}

/// Since when each setting has been in force: the timestamp of the group's record, or the time of
/// the request to the instance. `None` for a default and for the environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Of `processing_time_ms`.
    pub processing_time_ms: Option<DateTime<Utc>>,
    /// Of `batch_max`.
    pub batch_max: Option<DateTime<Utc>>,
    /// Of `paused`.
    pub paused: Option<DateTime<Utc>>,
    /// Of `crash_at`: `crash_at_since` of the record, if it has one.
    pub crash_at: Option<DateTime<Utc>>,
    /// Of `protection_off`.
    pub protection_off: Option<DateTime<Utc>>,
}

/// The configuration with which the last batch was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedConfig {
    /// Simulated work, milliseconds per handler call: 0 to 30 000; up to 120 000 as a fault.
    pub processing_time_ms: u32,
    /// Maximum number of records in a batch: 1 to 10 000.
    pub batch_max: u32,
}

/// The response to `GET /stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStats {
    /// The number of the instance.
    pub instance_id: String,
    /// The full name of the consumer group.
    pub group_id: String,
    /// The full name of the first consumed topic.
    pub topic: String,
    /// The effective simulated work, milliseconds per handler call.
    pub processing_time_ms: u32,
    /// Whether the consumer loop runs.
    pub running: bool,
    /// Whether the member takes no records.
    pub paused: bool,
    /// Records of committed batches since the start.
    pub messages_processed: u64,
    /// When the last batch was committed.
    pub last_message_time: Option<DateTime<Utc>>,
    /// The assigned partitions of the first topic.
    pub assigned_partitions: Vec<i32>,
    /// The assigned partitions of every topic, by its full name.
    pub assignment: BTreeMap<String, Vec<i32>>,
    /// The configuration of the last batch. `None` before the first one.
    pub applied: Option<AppliedConfig>,
    /// The effective configuration, as `GET /config` returns it.
    pub config: EffectiveConfig,
    /// What keeps the member from its work, the gravest first. Empty for a member that works. A
    /// processing time is no condition: see `config`.
    pub conditions: Vec<MemberCondition>,
    /// The records that were gone before this member could consume them, since its start: one entry
    /// for each partition with a loss.
    pub records_lost: Vec<LostRecords>,
}

/// Records of a partition that were deleted before they were consumed, by retention or by
/// `delete-records`: the log began after the next offset to consume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRecords {
    /// The full name of the topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The first lost offset of the last loss.
    pub first: i64,
    /// The last lost offset of the last loss.
    pub last: i64,
    /// Lost offsets of all losses since the start of the member. An upper bound of the number of
    /// records: some of the offsets may have been transaction markers.
    pub offsets: u64,
    /// When the member noticed the last loss.
    pub at: DateTime<Utc>,
}

/// One thing that keeps a member from its work, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCondition {
    /// What it is.
    pub kind: ConditionKind,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The cause in one line, in the words of the readiness and of the log.
    pub cause: String,
    /// The partitions concerned. Empty if it is the whole member.
    pub partitions: Vec<PartitionOffsets>,
    /// The source of a pause.
    pub source: Option<Source>,
}

/// The kinds of [`MemberCondition`], the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    /// The consumer loop has ended; the process is about to end.
    LoopEnded,
    /// Halted until `POST /resume`: too many poison records in a row, or an undecodable record set.
    Halted,
    /// No broker can be reached.
    BrokerUnreachable,
    /// The member has not joined its group, or has not read its group's settings.
    Joining,
    /// A consumed topic does not exist, so none of its partitions can be assigned.
    TopicMissing,
    /// The broker does not return the committed offset of a partition.
    SilentPartition,
    /// The batch fails and is retried.
    BatchFailing,
    /// Blocked before a poison record by `POISON_POLICY=block`.
    Blocked,
    /// Paused by its configuration.
    Paused,
}

/// A range of offsets in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionOffsets {
    /// The full name of the topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The first offset of a failing batch, or the offset at which the member is blocked or halted.
    pub first: Option<i64>,
    /// The last offset of a failing batch.
    pub last: Option<i64>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::Group => "group",
            Self::Instance => "instance",
        })
    }
}
