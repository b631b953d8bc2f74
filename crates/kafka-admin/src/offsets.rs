//! End offsets, committed offsets, and the difference of the two.
//!
//! These are offsets as the broker stores them: transaction markers and aborted records have
//! offsets too. Lag counts readable records and is defined in the crate `cluster-reader`. Use these
//! offsets where the committed position itself is the subject, or where a reading must be cheap:
//! nothing is fetched from a log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, TIMEOUT, blocking};
use crate::cluster_error::ClusterError;

/// A topic, by its name on the broker, and a partition number.
pub type TopicPartition = (String, i32);

/// The partitions that a group has not committed to the end. Empty once the group has committed the
/// end offset of every partition that has records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncommittedOffsets {
    /// By topic and partition.
    pub partitions: Vec<UncommittedRange>,
}

/// A partition whose committed offset is not its end offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncommittedRange {
    /// The topic's name on the broker.
    pub topic: String,
    /// The partition number, from 0.
    pub partition: i32,
    /// The committed offset; the low watermark if the group has committed none. Greater than `end`
    /// if the topic was recreated.
    pub start: i64,
    /// The high watermark: the offset of the next record.
    pub end: i64,
}

impl UncommittedOffsets {
    /// Whether everything is committed.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The number of uncommitted offsets.
    pub fn count(&self) -> i64 {
        let counts = self.partitions.iter().map(|one| one.end - one.start);
        counts.filter(|count| *count > 0).sum()
    }
}

impl fmt::Display for UncommittedOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} uncommitted offsets", self.count())?;
        for one in &self.partitions {
            let UncommittedRange {
                topic,
                partition,
                start,
                end,
            } = one;
            write!(f, " {topic}[{partition}]={start}..{end}")?;
        }
        Ok(())
    }
}

impl Cluster {
    /// The end offset of each partition of a topic: its high watermark. Empty if the topic does not
    /// exist.
    pub async fn end_offsets(&self, topic: &str) -> Result<BTreeMap<i32, i64>, ClusterError> {
        let watermarks = self.watermarks(topic).await?.into_iter();
        Ok(watermarks.map(|(at, (_, high))| (at, high)).collect())
    }

    /// The offset of the oldest record of each partition of a topic: its low watermark. Empty if the
    /// topic does not exist.
    pub async fn log_starts(&self, topic: &str) -> Result<BTreeMap<i32, i64>, ClusterError> {
        let watermarks = self.watermarks(topic).await?.into_iter();
        Ok(watermarks.map(|(at, (low, _))| (at, low)).collect())
    }

    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, ClusterError> {
        let count = self.partitions(topic).await?;
        let (client, name) = (Arc::clone(&self.metadata_client), topic.to_owned());
        let found = blocking(move || {
            let of = |partition| clients::watermarks(&client, &name, partition);
            (0..count)
                .map(|partition| of(partition).map(|both| (partition, both)))
                .collect()
        });
        let found = found.await;
        found.map_err(|error| self.error(format!("read the offsets of {topic}"), error))
    }

    /// The committed offsets of a group on these topics. Partitions without a commit are left out.
    pub async fn committed_offsets(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<BTreeMap<TopicPartition, i64>, ClusterError> {
        let client = self.offset_client(group)?;
        let partitions = self.partitions_of(topics).await?;
        let committed = blocking(move || committed_offsets(&client, &partitions)).await;
        committed.map_err(|error| self.error(format!("read the offsets of {group}"), error))
    }

    /// The offsets of these topics that a group has not committed. A topic that does not exist has
    /// none.
    ///
    /// Committed offsets are read before end offsets, so a member that commits in between leaves no
    /// range that starts after its end.
    pub async fn uncommitted_offsets(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<UncommittedOffsets, ClusterError> {
        let client = self.offset_client(group)?;
        let partitions = self.partitions_of(topics).await?;
        let ranges = blocking(move || uncommitted_ranges(&client, partitions)).await;
        let partitions =
            ranges.map_err(|error| self.error(format!("read the offsets of {group}"), error))?;
        Ok(UncommittedOffsets { partitions })
    }

    /// The partitions of these topics, in order.
    async fn partitions_of(&self, topics: &[String]) -> Result<Vec<TopicPartition>, ClusterError> {
        let mut partitions = Vec::new();
        for topic in topics {
            let count = self.partitions(topic).await?;
            partitions.extend((0..count).map(|partition| (topic.clone(), partition)));
        }
        partitions.sort();
        Ok(partitions)
    }
}

fn uncommitted_ranges(
    client: &BaseConsumer,
    partitions: Vec<TopicPartition>,
) -> KafkaResult<Vec<UncommittedRange>> {
    let committed = committed_offsets(client, &partitions)?;
    let mut ranges = Vec::new();
    for at in partitions {
        let (low, end) = clients::watermarks(client, &at.0, at.1)?;
        let start = committed.get(&at).copied().unwrap_or(low);
        if start != end {
            let (topic, partition) = at;
            ranges.push(UncommittedRange {
                topic,
                partition,
                start,
                end,
            });
        }
    }
    Ok(ranges)
}

/// The committed offsets of the client's group. Partitions without a commit are left out.
pub(crate) fn committed_offsets(
    client: &BaseConsumer,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    let answer = clients::retry_until_ready(|| client.committed_offsets(list.clone(), TIMEOUT))?;
    let mut committed = BTreeMap::new();
    for one in answer.elements() {
        one.error()?;
        if let Offset::Offset(offset) = one.offset() {
            committed.insert((one.topic().to_owned(), one.partition()), offset);
        }
    }
    Ok(committed)
}
