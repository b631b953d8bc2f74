//! The health of a group: its status, the rule that decides it, and the evidence.
//!
//! Everything here is a function of a [`History`] of snapshots, without a clock and without I/O.
//! Time spans are in seconds and not in polls, so the result does not depend on the poll interval.
//! With a single snapshot there are no rates, and the rules that compare snapshots do not apply.
//!
//! "Stalled" is decided here and nowhere else ([`GroupHealth::stalled_partitions`], in
//! `rules/stalled.rs`). lag-monitor exports the result, and the alert `PartitionStalled` reads it.
//!
//! Read the files in this order: `history.rs` and `partition_history.rs` (what is kept of the
//! snapshots), `loss_log.rs` and `missing_topics.rs` (what is remembered for longer),
//! `member_report.rs` (what the members say), `group_view.rs` (a group with its history),
//! `rates.rs`, `rule.rs`, `rules.rs` and `rules/` (one function for each rule). If several rules
//! apply, the worst status comes first, and among equals the order of [`Rule`].

mod downsample;
mod group_view;
mod history;
mod loss_log;
mod member_report;
mod missing_topics;
mod partition_history;
mod rates;
mod rule;
mod rules;
#[cfg(test)]
mod tests;
mod topic_inflow;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use history::History;
pub use loss_log::RecordLoss;
pub use member_report::{ConditionKind, MemberReport, ProcessingTime, ReportedCondition, SetBy};
pub use missing_topics::Absence;
pub use rates::Rates;
pub use rule::Rule;

use crate::{LagCount, TopicPartition};
use group_view::GroupView;
use rules::stalled::GroupProgress;

/// The status of a group, ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The group keeps up.
    Ok,
    /// The lag of a partition is unknown, and nothing else is wrong.
    Unknown,
    /// A person should look at the group.
    Warning,
    /// A person must act.
    Critical,
}

/// A group or a partition that has committed nothing for this long, while records waited, makes no
/// progress. This is `max.poll.interval.ms` of the shop's consumers: a member that works longer on
/// one batch is removed from its group, so slow work is not mistaken for a stall.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

/// The lag from which on a group has a warning or a critical status, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    warning: i64,
    critical: i64,
}

/// The result of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The status that the rule asks for.
    pub status: Status,
    /// The rule.
    pub rule: Rule,
    /// The partition, if the rule is about a partition.
    pub partition: Option<TopicPartition>,
    /// The offset that the group reads next on that partition.
    pub offset: Option<i64>,
    /// One sentence with topic, partition, offset and numbers.
    pub evidence: String,
}

/// The health of a group, or of its part on one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupHealth {
    /// The most important one first; never empty.
    findings: Vec<Finding>,
    /// Readable records, summed over the partitions where the lag is known; `None` if it is known
    /// of none.
    pub total_lag: Option<LagCount>,
    /// The number of partitions that the sum leaves out.
    pub unknown_partitions: usize,
    /// The timestamp of the oldest readable record.
    pub oldest_unread: Option<DateTime<Utc>>,
    /// Rates, summed over all partitions; `None` unless the rates of each partition whose lag is
    /// known are.
    pub rates: Option<Rates>,
    /// The time until the group is caught up at the current rate: see [`Rates::time_to_drain`].
    pub time_to_drain: Option<Duration>,
    /// Rates of each partition whose records were counted exactly at two readings.
    pub partition_rates: BTreeMap<TopicPartition, Rates>,
    /// Every stalled partition. Findings name some of them only.
    pub stalled_partitions: BTreeSet<TopicPartition>,
    /// Every loss of records that nobody has acknowledged: see [`History::acknowledge_losses`].
    pub losses: Vec<RecordLoss>,
}

/// Assesses a group, or with `topic` its part on that topic. `None` if the last snapshot does not
/// contain the group, or the group neither reads a partition of the topic nor was reading it when
/// the topic was deleted: [`Absence`] says which.
///
/// `members` are the answers of the group's members, as far as they were asked and have answered.
/// They explain what the cluster shows, and are needed by no rule about offsets.
pub fn assess(
    history: &History,
    group: &str,
    topic: Option<&str>,
    thresholds: Thresholds,
    members: &[MemberReport],
) -> Option<GroupHealth> {
    let view = GroupView::new(history, group, topic, thresholds, members)?;
    let progress = GroupProgress::of(&view);
    let mut findings = rules::findings(&view, &progress);
    findings.sort_by_key(|one| (std::cmp::Reverse(one.status), one.rule));
    let lags = || view.partitions().filter_map(|one| one.lag());
    Some(GroupHealth {
        findings,
        total_lag: view.total,
        unknown_partitions: view.partitions().filter(|one| one.is_unknown()).count(),
        oldest_unread: lags().filter_map(|lag| lag.oldest_unread).min(),
        rates: view.rates,
        time_to_drain: view
            .total
            .and_then(|total| Rates::time_to_drain(view.rates, total)),
        losses: view.losses.clone(),
        partition_rates: view
            .partitions()
            .filter_map(|one| Some((one.at.clone(), one.rates(&view)?)))
            .collect(),
        stalled_partitions: progress.stalled_partitions(),
    })
}

impl GroupHealth {
    /// The worst status of all findings.
    pub fn status(&self) -> Status {
        self.first().map_or(Status::Unknown, |first| first.status)
    }

    /// The rule that decides the status.
    pub fn rule(&self) -> Rule {
        self.first().map_or(Rule::NotKnown, |first| first.rule)
    }

    /// The reason for the status, in one sentence.
    pub fn evidence(&self) -> &str {
        self.first().map_or("", |first| &first.evidence)
    }

    /// The results of all rules that apply, worst first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }
}

impl Status {
    /// The name, in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Thresholds {
    /// In records. `None` unless `1 <= warning <= critical`.
    pub const fn new(warning: i64, critical: i64) -> Option<Self> {
        if warning >= 1 && warning <= critical {
            Some(Self { warning, critical })
        } else {
            None
        }
    }

    /// In records.
    pub const fn warning(self) -> i64 {
        self.warning
    }

    /// In records.
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
