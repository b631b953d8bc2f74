//! One poll of a cluster: the requests, in their order.

mod assemble;
mod counted_log;
pub(crate) mod fetch_records;
mod group_coordinator;
mod group_list;
pub(crate) mod log_offsets;
mod log_scan;
mod partition_scan;

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;

use crate::error::ReadError;
use crate::lag::LogOffsets;
use crate::protocol::brokers::{Brokers, ReaderSettings, Topics, partition};
use crate::snapshot::{Replicas, Snapshot, TopicPartition};
use group_coordinator::DescribedGroup;
use group_list::Groups;
use log_scan::LogScanner;

/// Polls a cluster. It joins no group and changes nothing on the cluster.
#[derive(Debug)]
pub struct ClusterReader {
    brokers: Brokers,
    groups: Groups,
    scanner: LogScanner,
    /// Partitions with a committed offset that did not exist at the last poll.
    missing: BTreeSet<TopicPartition>,
}

impl ClusterReader {
    /// The first poll connects.
    pub fn new(settings: ReaderSettings) -> Self {
        Self {
            brokers: Brokers::new(settings),
            groups: Groups::default(),
            scanner: LogScanner::default(),
            missing: BTreeSet::new(),
        }
    }

    /// Asks for this group by name in every poll, even while no broker lists it. The group is then
    /// missing from a snapshot only if the broker answers that it does not exist. Groups that a
    /// poll has found are asked for by name anyway.
    pub fn remember(&mut self, group: &str) {
        self.groups.remember(group);
    }

    /// Reads every group and every topic.
    ///
    /// Committed offsets are read first and the high watermarks last, so `committed <=
    /// high_watermark` unless the topic was recreated. A partition that has a committed offset and
    /// is missing for the first time is looked up again after the offsets were read: otherwise a
    /// topic that was created during the poll would count as deleted.
    ///
    /// # Errors
    /// When any part could not be read. The connection that failed is closed, and the next poll
    /// opens a new one.
    pub async fn poll(&mut self) -> Result<Snapshot, ReadError> {
        let mut topics = self.brokers.topics().await?;
        let groups = self.groups.read(&mut self.brokers, &topics).await?;
        let mut missing = assemble::missing(&topics, &groups);
        if !missing.is_subset(&self.missing) {
            topics = self.brokers.topics().await?;
            missing = assemble::missing(&topics, &groups);
        }
        self.missing = missing;
        let wanted = wanted(&topics, &groups);
        let logs = log_offsets::read(&mut self.brokers, &topics, wanted).await?;
        let taken_at = Utc::now();
        let scans = assemble::wanted_scans(&topics, &groups, &logs);
        let scanner = &mut self.scanner;
        scanner.scan(&mut self.brokers, &topics, &scans).await?;
        let groups = groups.into_iter();
        let groups =
            groups.map(|(name, group)| (name, assemble::group(group, &logs, &self.scanner)));
        Ok(Snapshot {
            taken_at,
            groups: groups.collect(),
            replicas: replicas(&topics),
            topics: by_topic(&topics, logs),
        })
    }
}

/// All partitions of topics that are not internal to Kafka, and the partitions of internal topics
/// that a group reads.
fn wanted(topics: &Topics, groups: &BTreeMap<String, DescribedGroup>) -> BTreeSet<TopicPartition> {
    let mut wanted = BTreeSet::new();
    for (name, topic) in topics.iter().filter(|(_, topic)| !topic.is_internal) {
        wanted.extend(topic.partitions.iter().map(|one| TopicPartition {
            topic: name.clone(),
            partition: one.partition_index,
        }));
    }
    let read = groups.values().flat_map(assemble::partitions);
    wanted.extend(read.filter(|at| partition(topics, at).is_some()).cloned());
    wanted
}

/// The replicas of all partitions of topics that are not internal to Kafka.
fn replicas(topics: &Topics) -> BTreeMap<TopicPartition, Replicas> {
    let mut replicas = BTreeMap::new();
    for (name, topic) in topics.iter().filter(|(_, topic)| !topic.is_internal) {
        replicas.extend(topic.partitions.iter().map(|one| {
            let at = TopicPartition {
                topic: name.clone(),
                partition: one.partition_index,
            };
            let found = Replicas {
                leader: one.leader_id.0,
                all: one.replica_nodes.iter().map(|id| id.0).collect(),
                in_sync: one.isr_nodes.iter().map(|id| id.0).collect(),
            };
            (at, found)
        }));
    }
    replicas
}

/// Topics without partitions are included.
fn by_topic(
    topics: &Topics,
    logs: BTreeMap<TopicPartition, LogOffsets>,
) -> BTreeMap<String, BTreeMap<i32, LogOffsets>> {
    let mut by_topic = BTreeMap::<String, BTreeMap<i32, LogOffsets>>::new();
    for (name, _) in topics.iter().filter(|(_, topic)| !topic.is_internal) {
        by_topic.entry(name.clone()).or_default();
    }
    for (at, log) in logs {
        by_topic
            .entry(at.topic)
            .or_default()
            .insert(at.partition, log);
    }
    by_topic
}
