//! How far a group is behind: what it has committed, and where its partitions end.
//!
//! Lag here is high watermark minus committed offset, as Kafka's own tool counts it: control records and aborted records count
//! as well. Committed offsets are read first and ends after, so that lag is never negative because of the order of asking.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::{Cluster, ClusterError, TIMEOUT, handles};

/// One partition, as a group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// The topic's name on the broker, prefix included.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the record the group would read next, if it ever committed one.
    pub committed: Option<i64>,
    /// The offset of the oldest record that is still there.
    pub low_watermark: i64,
    /// The offset that the next record will get.
    pub high_watermark: i64,
}

/// Why a partition has no lag to speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLag {
    /// The group has committed nothing, and the partition holds nothing.
    NoRecordYet,
    /// The group has committed nothing, though there are records.
    NothingCommitted,
    /// The group has committed an offset that the partition does not have: the topic was made anew.
    CommittedBeyondEnd,
}

impl fmt::Display for NoLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecordYet => "no record yet",
            Self::NothingCommitted => "nothing committed",
            Self::CommittedBeyondEnd => "committed beyond the end",
        })
    }
}

impl PartitionLag {
    /// Records the group has not committed yet, or why that cannot be said.
    pub fn lag(&self) -> Result<i64, NoLag> {
        match self.committed {
            Some(committed) if committed > self.high_watermark => Err(NoLag::CommittedBeyondEnd),
            Some(committed) => Ok(self.high_watermark - committed),
            None if self.high_watermark == self.low_watermark => Err(NoLag::NoRecordYet),
            None => Err(NoLag::NothingCommitted),
        }
    }
}

/// A group's partitions. What is known and what is not stay apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLag {
    /// The group's name on the broker, prefix included.
    pub group: String,
    /// By topic and number.
    pub partitions: Vec<PartitionLag>,
}

impl GroupLag {
    /// The sum over the partitions whose lag is known.
    pub fn known(&self) -> i64 {
        self.partitions
            .iter()
            .filter_map(|one| one.lag().ok())
            .sum()
    }

    /// Whether the group has nothing left to read: every lag is known and 0, or its partition never had a record.
    pub fn is_at_rest(&self) -> bool {
        self.at_most(0)
    }

    /// Whether the lag is surely not higher than this: a partition whose lag is unknown could be anything.
    pub fn at_most(&self, limit: i64) -> bool {
        let unknown = |one: &PartitionLag| !matches!(one.lag(), Ok(_) | Err(NoLag::NoRecordYet));
        !self.partitions.iter().any(unknown) && self.known() <= limit
    }
}

impl fmt::Display for GroupLag {
    /// One line: the sum, then each partition; `-` where there never was a record, as in Kafka's own tool.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lag {}:", self.group, self.known())?;
        for one in &self.partitions {
            match one.lag() {
                Ok(lag) => write!(f, " {}[{}]={lag}", one.topic, one.partition)?,
                Err(NoLag::NoRecordYet) => write!(f, " {}[{}]=-", one.topic, one.partition)?,
                Err(reason) => write!(f, " {}[{}]=- ({reason})", one.topic, one.partition)?,
            }
        }
        Ok(())
    }
}

impl Cluster {
    /// The lag of a group on the topics named, by a handle that is no member. A topic that does not exist has no partitions.
    pub async fn lag(&self, group: &str, topics: &[String]) -> Result<GroupLag, ClusterError> {
        let handle = self.of_group(group)?;
        let mut wanted = Vec::new();
        for topic in topics {
            let count = self.partitions(topic).await?;
            wanted.extend((0..count).map(|partition| (topic.clone(), partition)));
        }
        wanted.sort();
        let asked = self.blocking(move || lags(&handle, wanted)).await;
        let partitions =
            asked.map_err(|error| self.error(format!("read the lag of {group}"), error))?;
        Ok(GroupLag {
            group: group.to_owned(),
            partitions,
        })
    }

    /// Where each partition of a topic ends: the offset that its next record will get.
    pub async fn end_offsets(&self, topic: &str) -> Result<BTreeMap<i32, i64>, ClusterError> {
        let count = self.partitions(topic).await?;
        let (observer, name) = (Arc::clone(&self.observer), topic.to_owned());
        let ends = self.blocking(move || {
            let end = |partition| handles::watermarks(&observer, &name, partition);
            (0..count)
                .map(|partition| end(partition).map(|(_, high)| (partition, high)))
                .collect()
        });
        let ends = ends.await;
        ends.map_err(|error| self.error(format!("read the end of {topic}"), error))
    }
}

fn lags(handle: &BaseConsumer, wanted: Vec<(String, i32)>) -> KafkaResult<Vec<PartitionLag>> {
    let committed = committed(handle, &wanted)?;
    let lag = |(topic, partition): (String, i32)| {
        let (low_watermark, high_watermark) = handles::watermarks(handle, &topic, partition)?;
        let committed = committed.get(&(topic.clone(), partition)).copied();
        Ok(PartitionLag {
            topic,
            partition,
            committed,
            low_watermark,
            high_watermark,
        })
    };
    wanted.into_iter().map(lag).collect()
}

/// The committed offsets of the handle's group, where there are any.
pub(crate) fn committed(
    handle: &BaseConsumer,
    wanted: &[(String, i32)],
) -> KafkaResult<BTreeMap<(String, i32), i64>> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in wanted {
        list.add_partition(topic, *partition);
    }
    let answer = handles::patiently(|| handle.committed_offsets(list.clone(), TIMEOUT))?;
    let mut committed = BTreeMap::new();
    for one in answer.elements() {
        one.error()?;
        if let Offset::Offset(offset) = one.offset() {
            committed.insert((one.topic().to_owned(), one.partition()), offset);
        }
    }
    Ok(committed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(committed: Option<i64>, low: i64, high: i64) -> PartitionLag {
        PartitionLag {
            topic: "orders".to_owned(),
            partition: 0,
            committed,
            low_watermark: low,
            high_watermark: high,
        }
    }

    fn group(partitions: Vec<PartitionLag>) -> GroupLag {
        GroupLag {
            group: "g".to_owned(),
            partitions,
        }
    }

    #[test]
    fn lag_is_known_only_where_something_was_committed() {
        assert_eq!(partition(Some(3), 0, 10).lag(), Ok(7));
        assert_eq!(partition(None, 0, 10).lag(), Err(NoLag::NothingCommitted));
        assert_eq!(partition(None, 4, 4).lag(), Err(NoLag::NoRecordYet));
        assert_eq!(
            partition(Some(11), 0, 10).lag(),
            Err(NoLag::CommittedBeyondEnd)
        );
    }

    #[test]
    fn a_group_is_at_rest_only_if_nothing_is_unknown() {
        assert!(group(vec![partition(Some(10), 0, 10), partition(None, 0, 0)]).is_at_rest());
        assert!(!group(vec![partition(Some(10), 0, 10), partition(None, 0, 1)]).is_at_rest());
        assert!(!group(vec![partition(Some(9), 0, 10)]).is_at_rest());
        assert!(group(vec![partition(Some(9), 0, 10)]).at_most(1));
    }
}
