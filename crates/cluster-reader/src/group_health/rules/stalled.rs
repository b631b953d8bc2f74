//! The rules `stopped` and `stalled`: records wait, and the group commits nothing for them.
//!
//! A member has one thread. While it works on one partition, its other partitions wait: the member
//! is slow, and they are not stalled. So a partition is stalled only if its owner had time for it.
//! The owner had time if on its other partitions it has read all records that were there when the
//! record here began to wait, at least [`STALLED_AFTER`](crate::group_health::STALLED_AFTER) ago,
//! and has kept up since. After [`LONG`] a partition is stalled even if its owner may be busy.
//!
//! If the group makes progress nowhere it is stopped, and no partition is stalled.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{MOST_OF_A_KIND, duration, of_partition};
use crate::group_health::group_view::{GroupView, PartitionView};
use crate::group_health::partition_history::PartitionHistory;
use crate::group_health::{Finding, Rule, Status};
use crate::{LagCount, TopicPartition};

/// A partition that waits for this long is stalled even if its owner may be busy.
const LONG: TimeDelta = TimeDelta::minutes(10);

/// A partition whose committed offset does not move although records wait, and since when.
#[derive(Clone, Copy)]
struct Blocked<'a> {
    partition: PartitionView<'a>,
    since: DateTime<Utc>,
}

/// The progress of the group on all of its partitions.
pub(in crate::group_health) struct GroupProgress<'a> {
    view: &'a GroupView<'a>,
    blocked: Vec<Blocked<'a>>,
    others: Vec<PartitionView<'a>>,
    /// Whether the group has committed anything within the last
    /// [`STALLED_AFTER`](crate::group_health::STALLED_AFTER).
    is_moving: bool,
}

impl<'a> GroupProgress<'a> {
    pub(in crate::group_health) fn of(view: &'a GroupView<'a>) -> Self {
        let (mut blocked, mut others) = (Vec::new(), Vec::new());
        for partition in view.all_partitions() {
            match partition.blocked_since(view) {
                Some(since) => blocked.push(Blocked { partition, since }),
                None => others.push(partition),
            }
        }
        let cutoff = view.stall_cutoff();
        Self {
            is_moving: others.iter().any(|one| has_advanced(one, cutoff)),
            view,
            blocked,
            others,
        }
    }

    /// Every stalled partition that is assessed.
    pub(in crate::group_health) fn stalled_partitions(&self) -> BTreeSet<TopicPartition> {
        let stalled = self.stalled();
        stalled.map(|one| one.partition.at.clone()).collect()
    }

    /// The stalled partitions. Without any: that the group has stopped, if it has.
    pub(super) fn findings(&self) -> Vec<Finding> {
        if self.view.group.members.is_empty() {
            return Vec::new();
        }
        let stalled = self.stalled().take(MOST_OF_A_KIND);
        let stalled: Vec<Finding> = stalled.map(|one| self.stalled_finding(one)).collect();
        if !stalled.is_empty() || self.is_moving {
            return stalled;
        }
        // A group that has never committed keeps its offsets outside Kafka, or not at all.
        let mut rows = self.view.all_partitions().map(|one| one.row);
        if rows.all(|row| row.committed.is_none()) {
            return Vec::new();
        }
        let longest = self.blocked_here().min_by_key(|one| one.since);
        let stopped = longest.map(|one| self.stopped_finding(one));
        stopped.into_iter().collect()
    }

    /// The blocked partitions that are assessed.
    fn blocked_here(&self) -> impl Iterator<Item = &Blocked<'a>> {
        let here: BTreeSet<_> = self.view.partitions().map(|one| one.at).collect();
        let blocked = self.blocked.iter();
        blocked.filter(move |one| here.contains(one.partition.at))
    }

    fn stalled(&self) -> impl Iterator<Item = &Blocked<'a>> {
        let has_members = !self.view.group.members.is_empty();
        let blocked = self.blocked_here();
        blocked.filter(move |one| has_members && self.is_stalled(one))
    }

    fn is_stalled(&self, blocked: &Blocked<'_>) -> bool {
        if self.is_moving && self.view.now - blocked.since >= LONG {
            return true;
        }
        let mut of_owner = self
            .others
            .iter()
            .filter(|one| one.has_same_owner(&blocked.partition));
        let mut others = self.others.iter();
        others.any(|one| has_advanced(one, blocked.since))
            && of_owner.all(|one| self.had_time(one, blocked.since))
    }

    /// Whether the owner has read, on another of its partitions, all records that were there when
    /// the blocked record began to wait, and all that were there at the cutoff.
    fn had_time(&self, other: &PartitionView<'_>, since: DateTime<Utc>) -> bool {
        let Some(history) = other.history else {
            return true;
        };
        let cutoff = self.view.stall_cutoff();
        caught_up(history, since, cutoff) && caught_up(history, cutoff, self.view.now)
    }

    fn stalled_finding(&self, blocked: &Blocked<'_>) -> Finding {
        let partition = &blocked.partition;
        let evidence = format!(
            "{} is stuck at offset {} for {} while {}, and the group makes progress elsewhere: a poison pill?",
            partition.at,
            partition.position().unwrap_or_default(),
            duration(self.view.now - blocked.since),
            partition.waiting().records_wait()
        );
        of_partition(partition, Status::Critical, Rule::Stalled, evidence)
    }

    fn stopped_finding(&self, blocked: &Blocked<'_>) -> Finding {
        let group = self.view.group;
        let state = match group.state.as_str() {
            "Stable" => String::new(),
            other => format!(" (state {other})"),
        };
        let waiting = self.view.partitions().map(|one| one.waiting());
        let evidence = format!(
            "{} and the group has members ({}{state}), but has committed nothing for {}: {} is stuck at offset {}",
            waiting.sum::<LagCount>().records_wait(),
            group.members.len(),
            duration(self.view.now - self.last_commit().unwrap_or(blocked.since)),
            blocked.partition.at,
            blocked.partition.position().unwrap_or_default()
        );
        of_partition(
            &blocked.partition,
            Status::Critical,
            Rule::Stopped,
            evidence,
        )
    }

    /// The last change of any committed offset, as far as the history goes back.
    fn last_commit(&self) -> Option<DateTime<Utc>> {
        let histories = self.view.all_partitions().filter_map(|one| one.history);
        histories
            .filter_map(PartitionHistory::committed_since)
            .max()
    }
}

fn has_advanced(partition: &PartitionView<'_>, then: DateTime<Utc>) -> bool {
    let history = partition.history;
    history.is_some_and(|history| history.has_advanced_after(then))
}

/// Whether by the time `to` the group has read all records that were there at `from`: it has
/// committed beyond the end of that time, or no record was left at some moment in between.
fn caught_up(history: &PartitionHistory, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    let (Some(first), Some(last)) = (history.sample_at(from), history.sample_at(to)) else {
        return true;
    };
    let samples = history.samples().iter();
    let mut between = samples.filter(|one| from <= one.at && one.at <= to);
    last.committed >= first.last_stable
        || first.readable == LagCount::ZERO
        || last.readable == LagCount::ZERO
        || between.any(|one| one.readable == LagCount::ZERO)
}
