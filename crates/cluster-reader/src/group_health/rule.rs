//! The rules by name.

use std::fmt;

/// The rule that decides the status. The order is that of precedence: rules that name a cause come
/// before rules that only count records. The set is closed, so a rule can be the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A transaction hangs in a partition that the group reads: see
    /// [`History::set_hanging_transactions`](super::History::set_hanging_transactions).
    HangingTransaction,
    /// A member says that it has halted, or that its consumer loop has ended.
    Halted,
    /// A member says that it is blocked before a poison record.
    Blocked,
    /// A topic that the group reads does not exist.
    TopicMissing,
    /// A member says that its batch fails and is retried, or that the broker does not return the
    /// committed offset of a partition.
    BatchFailing,
    /// Members say that they are paused.
    Paused,
    /// A member says that it has not joined the group for [`STALLED_AFTER`](super::STALLED_AFTER), or
    /// that it reaches no broker.
    Joining,
    /// Records wait, and the group has no member.
    NoMembers,
    /// Records wait, the group has members, and it has committed nothing for
    /// [`STALLED_AFTER`](super::STALLED_AFTER).
    Stopped,
    /// Records wait on a partition whose committed offset does not move, while the group makes
    /// progress on other partitions. A typical cause is a poison pill.
    Stalled,
    /// A committed offset went back, or is beyond the end of the log.
    Rewound,
    /// Records were deleted before the group read them, and nobody has acknowledged the loss.
    LostRecords,
    /// Most of a topic's lag is on one partition, because most new records went there.
    HotPartition,
    /// The lag has reached a threshold, and a member says that it works slowly by its settings.
    SlowMember,
    /// The group reads fewer records than producers write.
    FallingBehind,
    /// The lag has reached the critical threshold.
    AboveCritical,
    /// The lag has reached the warning threshold.
    AboveWarning,
    /// Some members are assigned no partition, because there are more members than partitions.
    MoreConsumersThanPartitions,
    /// The lag of a partition is unknown.
    NotKnown,
    /// No other rule applies.
    KeepsUp,
}

impl Rule {
    /// All rules, in order of precedence.
    pub const ALL: [Self; 20] = [
        Self::HangingTransaction,
        Self::Halted,
        Self::Blocked,
        Self::TopicMissing,
        Self::BatchFailing,
        Self::Paused,
        Self::Joining,
        Self::NoMembers,
        Self::Stopped,
        Self::Stalled,
        Self::Rewound,
        Self::LostRecords,
        Self::HotPartition,
        Self::SlowMember,
        Self::FallingBehind,
        Self::AboveCritical,
        Self::AboveWarning,
        Self::MoreConsumersThanPartitions,
        Self::NotKnown,
        Self::KeepsUp,
    ];

    /// The name, in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HangingTransaction => "hanging_transaction",
            Self::Halted => "halted",
            Self::Blocked => "blocked",
            Self::TopicMissing => "topic_missing",
            Self::BatchFailing => "batch_failing",
            Self::Paused => "paused",
            Self::Joining => "joining",
            Self::NoMembers => "no_members",
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
            Self::Rewound => "rewound",
            Self::LostRecords => "lost_records",
            Self::SlowMember => "slow_member",
            Self::FallingBehind => "falling_behind",
            Self::HotPartition => "hot_partition",
            Self::AboveCritical => "above_critical",
            Self::AboveWarning => "above_warning",
            Self::MoreConsumersThanPartitions => "more_consumers_than_partitions",
            Self::NotKnown => "not_known",
            Self::KeepsUp => "keeps_up",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
