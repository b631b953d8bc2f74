//! The records that are published to a topic from now on, as soon as they are committed.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
use crate::log_reader::is_transient;

/// Reads the new records of one topic: committed records only, each once.
pub struct NewRecordTail {
    consumer: BaseConsumer,
    topic: String,
}

/// The key and the position of a record. Value and headers are not copied, since the tail must keep
/// up with the load of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The partition number, from 0.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
}

impl Cluster {
    /// Starts at the current end of a topic. Every record that is committed after this returns is
    /// read.
    pub async fn tail_new(&self, topic: &str) -> Result<NewRecordTail, ClusterError> {
        let partitions = self.partitions(topic).await?;
        let (settings, name) = (self.settings().clone(), topic.to_owned());
        let tail = blocking(move || {
            let consumer = clients::tail_new(&settings)?;
            consumer.assign(&ends(&consumer, &name, partitions)?)?;
            Ok(NewRecordTail {
                consumer,
                topic: name,
            })
        });
        tail.await
            .map_err(|error| self.error(format!("read {topic}"), error))
    }
}

/// With `read_committed` the end is the last stable offset, so the records of a transaction that is
/// open now are read once it is committed.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: i32) -> KafkaResult<TopicPartitionList> {
    let mut ends = TopicPartitionList::new();
    for partition in 0..partitions {
        let (_, end) = clients::watermarks(consumer, topic, partition)?;
        ends.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    Ok(ends)
}

impl NewRecordTail {
    /// Returns the next record, or `None` after `within`. Blocks, so call it on a thread of its
    /// own. While no broker answers, it returns `None`.
    pub fn next(&self, within: Duration) -> Result<Option<NewRecord>, ClusterError> {
        match self.consumer.poll(within) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(NewRecord {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
            })),
            Some(Err(error)) if is_transient(&error) => Ok(None),
            Some(Err(error)) => Err(ClusterError::failed(format!("read {}", self.topic), error)),
        }
    }
}
