//! The values of labels. Each is a closed set, so a metric has a bounded number of series.

/// Why a valid record is skipped: the label `reason` of `kafka_records_skipped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// An event that this service does not handle.
    NotOurs,
    /// An event of a type that this build does not know. A newer service may have published it.
    UnknownType,
    /// A dead letter that was replayed for another group of the topic.
    ReplayedForAnother,
}

impl SkipReason {
    pub(crate) const ALL: [Self; 3] = [Self::NotOurs, Self::UnknownType, Self::ReplayedForAnother];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::UnknownType => "unknown_type",
            Self::ReplayedForAnother => "replayed_for_another",
        }
    }
}

/// Where a record that failed for now is tried again: the label `place` of `kafka_retries_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryPlace {
    /// Within its batch, or when its partition is read again.
    InPlace,
    /// When it comes back from the retry topic.
    Topic,
}

impl RetryPlace {
    pub(crate) const ALL: [Self; 2] = [Self::InPlace, Self::Topic];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::InPlace => "in_place",
            Self::Topic => "topic",
        }
    }
}

/// Where a batch failed: the label `stage` of `consumer_batches_failed_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedStage {
    Apply,
    Commit,
    /// The group rebalanced meanwhile.
    Rebalance,
}

impl FailedStage {
    pub(crate) const ALL: [Self; 3] = [Self::Apply, Self::Commit, Self::Rebalance];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Commit => "commit",
            Self::Rebalance => "rebalance",
        }
    }
}

/// Why a record of `sandbox.controls` is ignored: the label `reason` of `kafka_controls_ignored_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IgnoreReason {
    UnknownKey,
    NotAnObject,
    OutOfBounds,
    NamesNothing,
    /// A fault, and this process runs without `SANDBOX_UNSAFE=1`. The other fields of the record apply.
    FaultNotAllowed,
}

impl IgnoreReason {
    pub(crate) const ALL: [Self; 5] = [
        Self::UnknownKey,
        Self::NotAnObject,
        Self::OutOfBounds,
        Self::NamesNothing,
        Self::FaultNotAllowed,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::NotAnObject => "not_an_object",
            Self::OutOfBounds => "out_of_bounds",
            Self::NamesNothing => "names_nothing",
            Self::FaultNotAllowed => "fault_not_allowed",
        }
    }
}
