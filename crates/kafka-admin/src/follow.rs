//! What comes into a topic from now on, the moment it can be read.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::{Cluster, ClusterError, handles};

/// Follows one topic: committed records only, each once. Joins no group and commits nothing.
pub struct Follower {
    consumer: BaseConsumer,
    topic: String,
}

/// A record that came. Nothing but its key and its place: who follows a busy topic has no time for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
}

impl Cluster {
    /// Follows a topic from where it ends now. What is committed after this returns will be seen.
    pub async fn follow(&self, topic: &str) -> Result<Follower, ClusterError> {
        let partitions = self.partitions(topic).await?;
        let (settings, name) = (self.settings.clone(), topic.to_owned());
        let made = self.blocking(move || {
            let consumer = handles::follower(&settings)?;
            consumer.assign(&ends(&consumer, &name, partitions)?)?;
            Ok(Follower {
                consumer,
                topic: name,
            })
        });
        made.await
            .map_err(|error| self.error(format!("follow {topic}"), error))
    }
}

/// With `read_committed` an end is the last stable offset: a transaction that is open now is seen once it is committed.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: i32) -> KafkaResult<TopicPartitionList> {
    let mut ends = TopicPartitionList::new();
    for partition in 0..partitions {
        let (_, end) = handles::watermarks(consumer, topic, partition)?;
        ends.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    Ok(ends)
}

impl Follower {
    /// The next record; `None` if none came within this time. Blocks: it belongs on a thread of its own. A broker that is away
    /// is waited for, as librdkafka does by itself.
    pub fn next(&self, within: Duration) -> Result<Option<Passing>, ClusterError> {
        match self.consumer.poll(within) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(Passing {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
            })),
            Some(Err(error)) if super::records::is_passing(&error) => Ok(None),
            Some(Err(error)) => {
                let what = format!("follow {}", self.topic);
                Err(ClusterError::refused(what, error))
            }
        }
    }
}
