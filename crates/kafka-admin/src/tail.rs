//! The records of one topic as they lie there, then those that come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::records::{Query, Record, SILENCE, is_passing, starts};
use crate::{Cluster, ClusterError, handles};

/// Reads one topic. Joins no group and commits nothing. Partitions that are added meanwhile are not seen.
pub struct Tail {
    consumer: BaseConsumer,
    topic: String,
    key: Option<Vec<u8>>,
    /// The end of each partition of which not all is read that was there at the beginning.
    left: BTreeMap<i32, i64>,
    /// Of each partition, whether it is read from its oldest record on.
    whole: BTreeMap<i32, bool>,
    ended: bool,
    last_news: Instant,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A record. Those of one partition come in their order.
    Record(Box<Record>),
    /// All that was there when the topic was opened has come. Said once.
    End,
    /// Nothing.
    Nothing,
}

impl Cluster {
    /// Opens a topic; [`ClusterError::Missing`], with the list of those there are, if there is none of this name.
    pub async fn tail(&self, topic: &str, query: &Query) -> Result<Tail, ClusterError> {
        let partitions = self.partitions(topic).await?;
        if partitions == 0 {
            return Err(self.no_topic(topic).await);
        }
        let (settings, query, name) = (self.settings.clone(), query.clone(), topic.to_owned());
        let opened = self.blocking(move || {
            let consumer = handles::tail(&settings, query.isolation)?;
            open(consumer, name, partitions, query)
        });
        opened
            .await
            .map_err(|error| self.error(format!("read {topic}"), error))
    }
}

fn open(consumer: BaseConsumer, topic: String, partitions: i32, query: Query) -> KafkaResult<Tail> {
    let (mut left, mut whole) = (BTreeMap::new(), BTreeMap::new());
    let mut assignment = TopicPartitionList::new();
    for (partition, start) in starts(&consumer, &topic, partitions, &query.start)? {
        // With read_committed this is the last stable offset: what lies beyond it comes when its transaction is committed.
        let (low, end) = handles::watermarks(&consumer, &topic, partition)?;
        let start = start.unwrap_or(low).clamp(low, end);
        assignment.add_partition_offset(&topic, partition, Offset::Offset(start))?;
        whole.insert(partition, start == low);
        if start < end {
            left.insert(partition, end);
        }
    }
    consumer.assign(&assignment)?;
    Ok(Tail {
        consumer,
        topic,
        key: query.key,
        left,
        whole,
        ended: false,
        last_news: Instant::now(),
    })
}

impl Tail {
    /// The partitions that are read.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.whole.keys().copied()
    }

    /// Whether this partition is read from its oldest record on.
    pub fn is_whole(&self, partition: i32) -> bool {
        self.whole.get(&partition) == Some(&true)
    }

    /// What comes next, within this time. Blocks: it belongs on a thread of its own. A broker that is away is waited for, but not
    /// for what was there at the beginning. [`ClusterError::Missing`] if the topic is deleted meanwhile.
    pub fn next(&mut self, within: Duration) -> Result<Came, ClusterError> {
        if self.left.is_empty() && !self.ended {
            self.ended = true;
            return Ok(Came::End);
        }
        match self.consumer.poll(within) {
            None if !self.ended && self.last_news.elapsed() > SILENCE => {
                Err(ClusterError::TooLate(format!(
                    "{} brought nothing for {} s, and not all was read",
                    self.topic,
                    SILENCE.as_secs()
                )))
            }
            None => Ok(Came::Nothing),
            Some(Ok(message)) => {
                self.last_news = Instant::now();
                let (partition, offset) = (message.partition(), message.offset());
                let end = self.left.get(&partition);
                if end.is_some_and(|end| offset + 1 >= *end) {
                    self.left.remove(&partition);
                }
                let meant = self.key.is_none() || message.key() == self.key.as_deref();
                Ok(match meant {
                    true => Came::Record(Box::new(Record::read(&message))),
                    false => Came::Nothing,
                })
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.left.remove(&partition);
                Ok(Came::Nothing)
            }
            Some(Err(error)) if is_passing(&error) => Ok(Came::Nothing),
            Some(Err(error)) if has_gone(&error) => Err(ClusterError::Missing(format!(
                "topic {} was deleted",
                self.topic
            ))),
            Some(Err(error)) => Err(ClusterError::refused(format!("read {}", self.topic), error)),
        }
    }
}
