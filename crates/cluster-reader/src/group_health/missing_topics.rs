//! Groups and topics that are missing.
//!
//! When a topic is deleted, the coordinator deletes the committed offsets of its partitions, and
//! nothing of the group shows any more what it was reading. So this is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};

use crate::{Group, Snapshot};

/// The most pairs of a group and a deleted topic that are remembered. Further ones are not reported.
const MOST_MISSING: usize = 1_000;

/// Why a group is not assessed on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The group does not exist.
    Group,
    /// The topic does not exist.
    Topic,
    /// The group reads no partition of the topic.
    NotRead,
}

/// The topics that were deleted while a group with members was reading them, and the time of the
/// last reading that saw them. A topic is forgotten when it exists again, when somebody acknowledges
/// that it is gone, and with its group.
#[derive(Debug, Clone, Default)]
pub(super) struct MissingTopics(BTreeMap<String, BTreeMap<String, DateTime<Utc>>>);

impl MissingTopics {
    pub(super) fn add(&mut self, before: Option<&Snapshot>, snapshot: &Snapshot) {
        self.0.retain(|group, topics| {
            topics.retain(|topic, _| !snapshot.topics.contains_key(topic));
            snapshot.groups.contains_key(group) && !topics.is_empty()
        });
        let Some(before) = before else { return };
        let known = self.0.values().map(BTreeMap::len);
        let mut room = MOST_MISSING.saturating_sub(known.sum());
        let was_deleted = |topic: &&str| {
            before.topics.contains_key(*topic) && !snapshot.topics.contains_key(*topic)
        };
        let groups = before.groups.iter();
        for (name, group) in groups.filter(|(name, _)| snapshot.groups.contains_key(*name)) {
            for topic in topics_read(group).into_iter().filter(was_deleted) {
                if room == 0 {
                    return;
                }
                room -= 1;
                let of_group = self.0.entry(name.clone()).or_default();
                of_group.insert(topic.to_owned(), before.taken_at);
            }
        }
    }

    /// The missing topics of a group.
    pub(super) fn of(&self, group: &str) -> impl Iterator<Item = (&str, DateTime<Utc>)> {
        let topics = self.0.get(group).into_iter().flatten();
        topics.map(|(topic, seen)| (topic.as_str(), *seen))
    }

    /// Forgets the missing topics of the groups that are chosen. Returns group and topic of each.
    pub(super) fn acknowledge(
        &mut self,
        is_chosen: impl Fn(&str, &str) -> bool,
    ) -> Vec<(String, String)> {
        let mut acknowledged = Vec::new();
        for (group, topics) in &mut self.0 {
            let chosen = topics.extract_if(.., |topic, _| is_chosen(group, topic));
            acknowledged.extend(chosen.map(|(topic, _)| (group.clone(), topic)));
        }
        acknowledged
    }

    /// Every group with its missing topics.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let groups = self.0.iter();
        groups
            .flat_map(|(group, topics)| topics.keys().map(|topic| (group.as_str(), topic.as_str())))
    }
}

/// The topics of a group that has members. Topics that are internal to Kafka do not count: a
/// snapshot has them only while a group reads them.
fn topics_read(group: &Group) -> BTreeSet<&str> {
    let rows = group.partitions.keys();
    let has_members = !group.members.is_empty();
    let topics = rows.map(|at| at.topic.as_str());
    topics
        .filter(|topic| has_members && !topic.starts_with("__"))
        .collect()
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "the group does not exist any more",
            Self::Topic => "the topic does not exist any more",
            Self::NotRead => "the group does not read the topic any more",
        })
    }
}
