//! One poll: the calls, in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;

use crate::brokers::{Brokers, Topics, partition};
use crate::coordinator::Found;
use crate::error::ReadError;
use crate::groups::Groups;
use crate::offsets;
use crate::rows;
use crate::snapshot::{Ends, Snapshot, TopicPartition};
use crate::unread::Unread;

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub struct ReaderSettings {
    /// `host:port`, several with commas between. One that answers is enough to find the others.
    pub bootstrap_servers: String,
    /// What the brokers' logs call this program.
    pub client_id: String,
    /// How long one call may take, and connecting as well. A poll makes about eight calls a broker.
    pub timeout: Duration,
}

/// Reads a cluster again and again. Joins no group and changes nothing.
#[derive(Debug)]
pub struct ClusterReader {
    brokers: Brokers,
    groups: Groups,
    unread: Unread,
    /// What groups have committed for and no topic had, in the last poll.
    missing: BTreeSet<TopicPartition>,
}

impl ClusterReader {
    /// Connects when first asked.
    pub fn new(settings: ReaderSettings) -> Self {
        Self {
            brokers: Brokers::new(settings),
            groups: Groups::default(),
            unread: Unread::default(),
            missing: BTreeSet::new(),
        }
    }

    /// Asks for this group by name in every poll, also while the broker does not list it: so a group is missing in a snapshot only
    /// if the broker says that there is none of that name. Groups that were seen once are remembered anyway.
    pub fn remember(&mut self, group: &str) {
        self.groups.remember(group);
    }

    /// Reads everything. Committed offsets come before the ends of partitions, and of these the high watermark last: so
    /// `committed <= high` unless the topic was made anew. What groups have committed for and no topic has is looked for once more
    /// when it is missed for the first time: so it is told as deleted only if it is not there after the offsets were read.
    ///
    /// # Errors
    /// When anything could not be read. The connection on which it happened is gone; the next poll makes a new one.
    pub async fn poll(&mut self) -> Result<Snapshot, ReadError> {
        let mut topics = self.brokers.topics().await?;
        let groups = self.groups.read(&mut self.brokers, &topics).await?;
        let mut missing = rows::missing(&topics, &groups);
        if !missing.is_subset(&self.missing) {
            // It may have been made since the topics were read.
            topics = self.brokers.topics().await?;
            missing = rows::missing(&topics, &groups);
        }
        self.missing = missing;
        let wanted = wanted(&topics, &groups);
        let ends = offsets::ends(&mut self.brokers, &topics, wanted).await?;
        let stretches = rows::stretches(&groups, &ends);
        let unread = &mut self.unread;
        unread.read(&mut self.brokers, &topics, &stretches).await?;
        let groups = groups.into_iter();
        let groups = groups.map(|(name, group)| (name, rows::group(group, &ends, &self.unread)));
        Ok(Snapshot {
            taken_at: Utc::now(),
            groups: groups.collect(),
            topics: by_topic(&topics, ends),
        })
    }
}

/// Every partition of every topic that is not Kafka's own, and of those whatever a group reads.
fn wanted(topics: &Topics, groups: &BTreeMap<String, Found>) -> BTreeSet<TopicPartition> {
    let mut wanted = BTreeSet::new();
    for (name, topic) in topics.iter().filter(|(_, topic)| !topic.is_internal) {
        wanted.extend(topic.partitions.iter().map(|one| TopicPartition {
            topic: name.clone(),
            partition: one.partition_index,
        }));
    }
    let read = groups.values().flat_map(rows::partitions);
    wanted.extend(read.filter(|at| partition(topics, at).is_some()).cloned());
    wanted
}

/// A topic without partitions is a topic, too.
fn by_topic(
    topics: &Topics,
    ends: BTreeMap<TopicPartition, Ends>,
) -> BTreeMap<String, BTreeMap<i32, Ends>> {
    let mut by_topic = BTreeMap::<String, BTreeMap<i32, Ends>>::new();
    for (name, _) in topics.iter().filter(|(_, topic)| !topic.is_internal) {
        by_topic.entry(name.clone()).or_default();
    }
    for (at, ends) in ends {
        by_topic
            .entry(at.topic)
            .or_default()
            .insert(at.partition, ends);
    }
    by_topic
}
