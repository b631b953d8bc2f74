//! What is kept of the snapshots: the last one complete, and for each group and partition a few
//! numbers of those before.
//!
//! 50 groups on 500 partitions that all move take about 2 MB. A partition on which nothing happens
//! takes two samples, however long nothing happens.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::downsample::downsample;
use super::loss_log::{LossLog, RecordLoss};
use super::missing_topics::{Absence, MissingTopics};
use super::partition_history::PartitionHistory;
use super::topic_inflow::TopicInflow;
use crate::transactions::OpenTransaction;
use crate::{Group, Snapshot, TopicPartition};

/// The most partitions of groups that have a history. Further ones have no rates, and are assessed
/// by the last snapshot alone.
const MOST_PARTITIONS: usize = 20_000;

/// The snapshots of a cluster from a while ago until now.
#[derive(Debug, Clone, Default)]
pub struct History {
    latest: Option<Snapshot>,
    readings: Vec<DateTime<Utc>>,
    groups: BTreeMap<String, GroupHistory>,
    topics: BTreeMap<String, TopicInflow>,
    losses: LossLog,
    missing_topics: MissingTopics,
    hanging: Vec<OpenTransaction>,
    scaled_to_zero: BTreeSet<String>,
}

/// The history of each partition of a group.
pub(super) type GroupHistory = BTreeMap<TopicPartition, PartitionHistory>;

impl History {
    /// Adds a snapshot. If it is not later than the last one, the clock was set back, and the
    /// history restarts.
    pub fn add(&mut self, snapshot: Snapshot) {
        let now = snapshot.taken_at;
        let last = self.latest.as_ref();
        if last.is_some_and(|last| now <= last.taken_at) {
            self.readings.clear();
            self.groups.clear();
            self.topics.clear();
        }
        self.readings.push(now);
        downsample(&mut self.readings, now, |at| *at);
        self.add_topics(&snapshot);
        self.add_groups(&snapshot);
        self.losses.add(self.latest.as_ref(), &snapshot);
        self.missing_topics.add(self.latest.as_ref(), &snapshot);
        self.latest = Some(snapshot);
    }

    /// Forgets the losses of records on the groups and topics for which `is_chosen` is true, and
    /// returns them with the group of each. A loss that is still present is reported again only if
    /// it grows.
    pub fn acknowledge_losses(
        &mut self,
        is_chosen: impl Fn(&str, &str) -> bool,
    ) -> Vec<(String, RecordLoss)> {
        self.losses.acknowledge(is_chosen)
    }

    /// Forgets the [missing topics](Self::missing_topics) of the groups and topics for which
    /// `is_chosen` is true, and returns group and topic of each.
    pub fn acknowledge_missing_topics(
        &mut self,
        is_chosen: impl Fn(&str, &str) -> bool,
    ) -> Vec<(String, String)> {
        self.missing_topics.acknowledge(is_chosen)
    }

    /// Every loss of records that nobody has acknowledged, with its group; also on a topic that does
    /// not exist any more.
    pub fn all_losses(&self) -> impl Iterator<Item = (&str, RecordLoss)> {
        self.losses.all()
    }

    /// Replaces the transactions that hang. No snapshot has them: they are looked for separately.
    pub fn set_hanging_transactions(&mut self, hanging: Vec<OpenTransaction>) {
        self.hanging = hanging;
    }

    /// The transactions that hang, as set last.
    pub fn hanging_transactions(&self) -> &[OpenTransaction] {
        &self.hanging
    }

    /// Replaces the groups that have no members on purpose: an autoscaler has scaled them to 0, and starts members when records
    /// wait.
    pub fn set_scaled_to_zero(&mut self, groups: BTreeSet<String>) {
        self.scaled_to_zero = groups;
    }

    pub(super) fn is_scaled_to_zero(&self, group: &str) -> bool {
        self.scaled_to_zero.contains(group)
    }

    /// Every group with a topic that was deleted while the group was reading it. [`assess`] reports
    /// such a pair although no partition of it exists.
    ///
    /// [`assess`]: super::assess
    pub fn missing_topics(&self) -> impl Iterator<Item = (&str, &str)> {
        self.missing_topics.all()
    }

    /// Why [`assess`](super::assess) returns `None`; `None` if it does not, or before the first
    /// snapshot.
    pub fn absence(&self, group: &str, topic: Option<&str>) -> Option<Absence> {
        let latest = self.latest.as_ref()?;
        let Some(found) = latest.groups.get(group) else {
            return Some(Absence::Group);
        };
        let topic = topic?;
        let is_read = found.partitions.keys().any(|at| at.topic == topic);
        let is_missing = self.missing_topics.of(group).any(|(name, _)| name == topic);
        if is_read || is_missing {
            return None;
        }
        Some(match latest.topics.contains_key(topic) {
            true => Absence::NotRead,
            false => Absence::Topic,
        })
    }

    fn add_topics(&mut self, snapshot: &Snapshot) {
        let now = snapshot.taken_at;
        self.topics
            .retain(|name, _| snapshot.topics.contains_key(name));
        for (name, partitions) in snapshot.topics.iter().take(MOST_PARTITIONS) {
            match self.topics.get_mut(name) {
                Some(inflow) => inflow.add(now, partitions),
                None => {
                    let inflow = TopicInflow::new(now, partitions);
                    self.topics.insert(name.clone(), inflow);
                }
            }
        }
    }

    fn add_groups(&mut self, snapshot: &Snapshot) {
        self.groups
            .retain(|name, _| snapshot.groups.contains_key(name));
        let tracked = self.groups.values().map(GroupHistory::len);
        let mut room = MOST_PARTITIONS.saturating_sub(tracked.sum());
        for (name, group) in &snapshot.groups {
            let history = self.groups.entry(name.clone()).or_default();
            add_group(history, group, snapshot.taken_at, &mut room);
        }
    }

    /// The last snapshot.
    pub fn latest(&self) -> Option<&Snapshot> {
        self.latest.as_ref()
    }

    /// The times of the readings that are kept, in order.
    pub(super) fn readings(&self) -> &[DateTime<Utc>] {
        &self.readings
    }

    pub(super) fn group(&self, group: &str) -> Option<&GroupHistory> {
        self.groups.get(group)
    }

    pub(super) fn losses(&self, group: &str) -> impl Iterator<Item = RecordLoss> {
        self.losses.of(group)
    }

    /// The missing topics of a group, and when each was last seen.
    pub(super) fn missing_topics_of(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&str, DateTime<Utc>)> {
        self.missing_topics.of(group)
    }

    pub(super) fn inflow(&self, topic: &str) -> Option<&TopicInflow> {
        self.topics.get(topic)
    }
}

/// `room` is the number of partitions that may still get a history.
fn add_group(history: &mut GroupHistory, group: &Group, now: DateTime<Utc>, room: &mut usize) {
    history.retain(|partition, _| group.partitions.contains_key(partition));
    for (partition, row) in &group.partitions {
        if let Some(known) = history.get_mut(partition) {
            known.add(now, row);
        } else if *room > 0 {
            *room -= 1;
            let mut new = PartitionHistory::default();
            new.add(now, row);
            history.insert(partition.clone(), new);
        }
    }
}
