//! A group, or its part on one topic, with its history. The rules read it.

use chrono::{DateTime, TimeDelta, Utc};

use super::history::{GroupHistory, History};
use super::loss_log::RecordLoss;
use super::member_report::MemberReport;
use super::partition_history::PartitionHistory;
use super::rates::{self, Rates};
use super::topic_inflow::TopicInflow;
use super::{STALLED_AFTER, Thresholds};
use crate::transactions::OpenTransaction;
use crate::{Group, Lag, LagCount, LagUndefined, PartitionLag, TopicPartition};

/// A group, or its part on one topic.
pub(super) struct GroupView<'a> {
    pub(super) group: &'a Group,
    pub(super) thresholds: Thresholds,
    /// The time of the last reading.
    pub(super) now: DateTime<Utc>,
    /// The times of all readings that are kept, the last one included.
    pub(super) readings: &'a [DateTime<Utc>],
    /// Readable records, summed over the partitions where the lag is known.
    pub(super) total: Option<LagCount>,
    pub(super) rates: Option<Rates>,
    /// What the members say, as far as they were asked.
    pub(super) members: &'a [MemberReport],
    /// The losses that nobody has acknowledged.
    pub(super) losses: Vec<RecordLoss>,
    /// The topics that were deleted while the group was reading them, and when each was last seen.
    pub(super) missing_topics: Vec<(&'a str, DateTime<Utc>)>,
    /// Whether the group has no members on purpose.
    pub(super) is_scaled_to_zero: bool,
    window_start: Option<DateTime<Utc>>,
    topic: Option<&'a str>,
    group_history: Option<&'a GroupHistory>,
    history: &'a History,
}

/// The group on one partition.
#[derive(Clone, Copy)]
pub(super) struct PartitionView<'a> {
    pub(super) at: &'a TopicPartition,
    pub(super) row: &'a PartitionLag,
    pub(super) history: Option<&'a PartitionHistory>,
}

impl<'a> GroupView<'a> {
    pub(super) fn new(
        history: &'a History,
        name: &str,
        topic: Option<&'a str>,
        thresholds: Thresholds,
        members: &'a [MemberReport],
    ) -> Option<Self> {
        let snapshot = history.latest()?;
        let is_here = |name: &str| topic.is_none_or(|topic| topic == name);
        let losses = history.losses(name);
        let missing = history.missing_topics_of(name);
        let mut view = Self {
            group: snapshot.groups.get(name)?,
            thresholds,
            now: snapshot.taken_at,
            readings: history.readings(),
            total: None,
            rates: None,
            members,
            losses: losses.filter(|one| is_here(&one.partition.topic)).collect(),
            missing_topics: missing.filter(|(name, _)| is_here(name)).collect(),
            is_scaled_to_zero: history.is_scaled_to_zero(name),
            window_start: rates::window_start(history),
            topic,
            group_history: history.group(name),
            history,
        };
        if topic.is_some() && view.missing_topics.is_empty() && view.partitions().next().is_none() {
            return None;
        }
        let known = view.partitions().filter_map(|one| one.readable());
        view.total = known.reduce(|one, other| one + other);
        let known = view.partitions().filter(|one| one.lag().is_some());
        view.rates = Rates::sum(known.map(|one| one.rates(&view)));
        Some(view)
    }

    /// Whether the topic is assessed.
    pub(super) fn is_about(&self, topic: &str) -> bool {
        self.topic.is_none_or(|assessed| assessed == topic)
    }

    /// The partitions that are assessed.
    pub(super) fn partitions(&self) -> impl Iterator<Item = PartitionView<'a>> {
        let topic = self.topic;
        self.all_partitions()
            .filter(move |one| topic.is_none_or(|topic| one.at.topic == topic))
    }

    /// All partitions of the group. The progress of a member on other topics shows whether it had
    /// time for this one.
    pub(super) fn all_partitions(&self) -> impl Iterator<Item = PartitionView<'a>> {
        let histories = self.group_history;
        let rows = self.group.partitions.iter();
        rows.map(move |(at, row)| PartitionView {
            at,
            row,
            history: histories.and_then(|histories| histories.get(at)),
        })
    }

    /// [`STALLED_AFTER`] before the last reading.
    pub(super) fn stall_cutoff(&self) -> DateTime<Utc> {
        self.now - TimeDelta::from_std(STALLED_AFTER).unwrap_or(TimeDelta::MAX)
    }

    pub(super) fn inflow(&self, topic: &str) -> Option<&'a TopicInflow> {
        self.history.inflow(topic)
    }

    /// The first transaction that hangs in the partition.
    pub(super) fn hanging_transaction(&self, at: &TopicPartition) -> Option<&'a OpenTransaction> {
        let hanging = self.history.hanging_transactions().iter();
        let here = hanging.filter(|one| one.partition == *at);
        here.min_by_key(|one| one.start_offset)
    }

    /// Readable records at an earlier time, summed over the partitions whose lag is known now.
    pub(super) fn total_at(&self, then: DateTime<Utc>) -> LagCount {
        let known = self.partitions().filter(|one| one.lag().is_some());
        let readable = known.filter_map(|one| Some(one.history?.sample_at(then)?.readable));
        readable.sum()
    }
}

impl<'a> PartitionView<'a> {
    pub(super) fn lag(&self) -> Option<&'a Lag> {
        self.row.lag.as_ref().ok()
    }

    /// Readable records; `None` if the lag is unknown.
    pub(super) fn readable(&self) -> Option<LagCount> {
        match self.row.lag {
            Ok(lag) => Some(lag.readable),
            Err(LagUndefined::NoRecordYet) => Some(LagCount::ZERO),
            Err(
                LagUndefined::NothingCommitted
                | LagUndefined::CommittedBeyondEnd
                | LagUndefined::TopicDeleted,
            ) => None,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.readable().is_none()
    }

    /// Readable records. Without a committed offset: those written since the partition has an
    /// owner.
    pub(super) fn waiting(&self) -> LagCount {
        let last = self.history.and_then(|history| history.samples().last());
        let since = last.map_or(LagCount::ZERO, |last| last.readable);
        self.readable().unwrap_or(since)
    }

    /// The offset that the group reads next. Without a committed offset: the start of the log.
    pub(super) fn position(&self) -> Option<i64> {
        let start = self.row.log_offsets.map(|log| log.log_start);
        self.row.committed.or(start)
    }

    /// Since when records wait while the committed offset does not move, if that is at least
    /// [`STALLED_AFTER`] ago.
    pub(super) fn blocked_since(&self, view: &GroupView<'_>) -> Option<DateTime<Utc>> {
        if !matches!(self.row.lag, Ok(_) | Err(LagUndefined::NothingCommitted)) {
            return None;
        }
        let since = self.history?.blocked_since()?;
        (since <= view.stall_cutoff()).then_some(since)
    }

    pub(super) fn rates(&self, view: &GroupView<'_>) -> Option<Rates> {
        self.lag()?;
        rates::since(self.history?, view.window_start?, view.now)
    }

    pub(super) fn has_same_owner(&self, other: &PartitionView<'_>) -> bool {
        let id = |row: &'a PartitionLag| row.owner.as_ref().map(|owner| &owner.member_id);
        let others = other.row.owner.as_ref().map(|owner| &owner.member_id);
        id(self.row).is_some() && id(self.row) == others
    }
}
