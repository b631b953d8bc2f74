//! What the readings of a cluster mean: how a group is doing, by which rule, and on what evidence.
//!
//! Everything here is a function of a [`History`] of snapshots: no clock, no I/O. Spans are in seconds and not in polls, so that
//! the answer is the same whether somebody polls every second or every five. With one snapshot alone there are no rates, and
//! the rules that need time do not fire.
//!
//! Read in this order: [`History`] (what is kept of the snapshots), `rates` (how fast), `rules` (what may be wrong, one function
//! each). Which rule is told when several fire: the worst status first, and among equals the order of [`Rule`].

mod growth;
mod history;
mod rates;
mod rules;
mod scope;
#[cfg(test)]
mod tests;
mod thin;
mod track;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use history::History;
pub use rates::Rates;

use crate::TopicPartition;
use scope::Scope;

/// How a group is doing. The order is from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It keeps up.
    Ok,
    /// It cannot be said: of a partition it is not known how far the group has read.
    Unknown,
    /// Somebody should look.
    Warning,
    /// Somebody should act.
    Critical,
}

/// Which rule says so. A closed set, fit for a label. Those that name a cause come before those that only count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Records wait and the group has no member.
    NoMembers,
    /// Records wait, there are members, and none has committed anything for [`STANDS_STILL`].
    Stopped,
    /// One partition stands at an offset although records wait, while the group goes on elsewhere: a poison pill?
    Stalled,
    /// A committed offset went back, or lies beyond the end.
    Rewound,
    /// Records were deleted before the group had read them.
    LostRecords,
    /// The group reads less than comes in.
    FallingBehind,
    /// Most of what waits is on one partition, because most of what came in went there.
    HotPartition,
    /// As many records wait as the critical threshold says.
    AboveCritical,
    /// As many records wait as the warning threshold says.
    AboveWarning,
    /// Members own nothing because there are fewer partitions.
    MoreConsumersThanPartitions,
    /// Of a partition it is not known how far the group has read.
    NotKnown,
    /// None of the others.
    KeepsUp,
}

/// Nothing committed for this long, although records wait, is standing still. It is the `max.poll.interval.ms` of the shop's
/// consumers: a member whose work on one batch takes longer is thrown out of its group. So slow work is not taken for none.
pub const STANDS_STILL: Duration = Duration::from_secs(60);

/// From how many waiting records on a group is a matter of concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    warning: i64,
    critical: i64,
}

/// Something that a rule has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub status: Status,
    /// Which rule it is.
    pub rule: Rule,
    /// The partition it is about, if it is about one.
    pub partition: Option<TopicPartition>,
    /// The offset that the group reads next there.
    pub offset: Option<i64>,
    /// One sentence with topic, partition, offset and figures.
    pub evidence: String,
}

/// A group, or its part on one topic, as the history shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What the rules found, the one to be told first; never empty.
    findings: Vec<Finding>,
    /// Readable records, summed over the partitions where that is known; `None` if it is known of none.
    pub total_lag: Option<i64>,
    /// The sum is a lower bound of records and markers together: see `Lag::at_least`.
    pub at_least: bool,
    /// Partitions that the sum leaves out.
    pub not_known: usize,
    /// The timestamp of the oldest readable record.
    pub oldest_unread: Option<DateTime<Utc>>,
    /// How fast, over all partitions. `rates.lag` is the rate of change.
    pub rates: Option<Rates>,
    /// When nothing waits any more if it goes on like this; zero if nothing waits, `None` if the lag does not shrink.
    pub time_to_drain: Option<Duration>,
    /// How fast, for each partition that was read twice.
    pub partitions: BTreeMap<TopicPartition, Rates>,
}

/// Judges a group by its last reading and by those before; with `topic`, its part on that topic alone. `None` if the last
/// snapshot has no such group, or the group nothing to do with the topic.
pub fn judge(
    history: &History,
    group: &str,
    topic: Option<&str>,
    thresholds: Thresholds,
) -> Option<Judgement> {
    let scope = Scope::new(history, group, topic, thresholds)?;
    let mut findings = rules::findings(&scope);
    findings.sort_by_key(|one| (std::cmp::Reverse(one.status), one.rule));
    let unread = scope.inside().filter_map(|one| one.lag()?.oldest_unread);
    Some(Judgement {
        findings,
        total_lag: scope.total,
        at_least: scope
            .inside()
            .filter_map(|one| one.lag())
            .any(|lag| lag.at_least),
        not_known: scope.inside().filter(|one| one.is_not_known()).count(),
        oldest_unread: unread.min(),
        rates: scope.rates,
        time_to_drain: rates::time_to_drain(scope.total, scope.rates),
        partitions: scope
            .inside()
            .filter_map(|one| Some((one.at.clone(), one.rates(&scope)?)))
            .collect(),
    })
}

impl Judgement {
    /// How the group is doing.
    pub fn status(&self) -> Status {
        self.first().map_or(Status::Unknown, |first| first.status)
    }

    /// The rule that says so.
    pub fn rule(&self) -> Rule {
        self.first().map_or(Rule::NotKnown, |first| first.rule)
    }

    /// One sentence: why.
    pub fn evidence(&self) -> &str {
        self.first().map_or("", |first| &first.evidence)
    }

    /// All that the rules found, worst first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }
}

impl Status {
    /// Its name, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Rule {
    /// All of them, in order of precedence.
    pub const ALL: [Self; 12] = [
        Self::NoMembers,
        Self::Stopped,
        Self::Stalled,
        Self::Rewound,
        Self::LostRecords,
        Self::FallingBehind,
        Self::HotPartition,
        Self::AboveCritical,
        Self::AboveWarning,
        Self::MoreConsumersThanPartitions,
        Self::NotKnown,
        Self::KeepsUp,
    ];

    /// Its name, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoMembers => "no_members",
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
            Self::Rewound => "rewound",
            Self::LostRecords => "lost_records",
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

impl Thresholds {
    /// Both in records; `None` unless `1 <= warning <= critical`.
    pub const fn new(warning: i64, critical: i64) -> Option<Self> {
        if warning >= 1 && warning <= critical {
            Some(Self { warning, critical })
        } else {
            None
        }
    }

    /// From here on a warning, records.
    pub const fn warning(self) -> i64 {
        self.warning
    }

    /// From here on critical, records.
    pub const fn critical(self) -> i64 {
        self.critical
    }
}

/// 100 and 500 records.
impl Default for Thresholds {
    fn default() -> Self {
        Self {
            warning: 100,
            critical: 500,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
