//! The records of one topic, then the records that are published to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_runtime::client::is_unknown_topic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::clients;
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
use crate::records::{Query, Record, STALL_TIMEOUT, is_transient, starts};

/// Reads one topic without an end. Partitions that are added later are not read.
pub struct TopicTail {
    consumer: BaseConsumer,
    topic: String,
    key: Option<Vec<u8>>,
    /// The end, at the start of the tail, of each partition that has not been read to that end.
    unread: BTreeMap<i32, i64>,
    /// For each partition, whether it is read from its oldest record.
    from_beginning: BTreeMap<i32, bool>,
    end_reported: bool,
    last_record: Instant,
}

/// What [`TopicTail::next`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailEvent {
    /// A record. The records of one partition are in order.
    Record(Box<Record>),
    /// All records that existed at the start of the tail were returned. Occurs once.
    End,
    /// There is no record at the moment.
    Idle,
}

impl Cluster {
    /// Starts to read a topic.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`], with the existing topics, if the topic does not exist.
    pub async fn tail(&self, topic: &str, query: &Query) -> Result<TopicTail, ClusterError> {
        let partitions = self.partitions(topic).await?;
        if partitions == 0 {
            return Err(self.topic_not_found(topic).await);
        }
        let (settings, query) = (self.settings().clone(), query.clone());
        let name = topic.to_owned();
        let opened = blocking(move || {
            let consumer = clients::tail(&settings, query.isolation)?;
            open(consumer, name, partitions, query)
        });
        opened
            .await
            .map_err(|error| self.error(format!("read {topic}"), error))
    }
}

fn open(
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
    query: Query,
) -> KafkaResult<TopicTail> {
    let (mut unread, mut from_beginning) = (BTreeMap::new(), BTreeMap::new());
    let mut assignment = TopicPartitionList::new();
    for (partition, start) in starts(&consumer, &topic, partitions, &query.start)? {
        // With read_committed the end is the last stable offset. Records after it are returned once
        // their transaction is committed.
        let (low, end) = clients::watermarks(&consumer, &topic, partition)?;
        let start = start.unwrap_or(low).clamp(low, end);
        assignment.add_partition_offset(&topic, partition, Offset::Offset(start))?;
        from_beginning.insert(partition, start == low);
        if start < end {
            unread.insert(partition, end);
        }
    }
    consumer.assign(&assignment)?;
    Ok(TopicTail {
        consumer,
        topic,
        key: query.key,
        unread,
        from_beginning,
        end_reported: false,
        last_record: Instant::now(),
    })
}

impl TopicTail {
    /// The partitions that are read.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.from_beginning.keys().copied()
    }

    /// Whether this partition is read from its oldest record.
    pub fn starts_at_beginning(&self, partition: i32) -> bool {
        self.from_beginning.get(&partition) == Some(&true)
    }

    /// Returns the next record, or [`TailEvent::Idle`] after `within`. Blocks, so call it on a
    /// thread of its own. While no broker answers, it returns [`TailEvent::Idle`].
    ///
    /// # Errors
    /// [`ClusterError::NotFound`], if the topic was deleted. [`ClusterError::TimedOut`], if no
    /// record arrives for 10 s before [`TailEvent::End`].
    pub fn next(&mut self, within: Duration) -> Result<TailEvent, ClusterError> {
        if self.unread.is_empty() && !self.end_reported {
            self.end_reported = true;
            return Ok(TailEvent::End);
        }
        match self.consumer.poll(within) {
            None if !self.end_reported && self.last_record.elapsed() > STALL_TIMEOUT => {
                Err(ClusterError::TimedOut(format!(
                    "{} returned no record for {} s before its end",
                    self.topic,
                    STALL_TIMEOUT.as_secs()
                )))
            }
            None => Ok(TailEvent::Idle),
            Some(Ok(message)) => {
                self.last_record = Instant::now();
                mark_read(&mut self.unread, &message);
                let matches = self.key.is_none() || message.key() == self.key.as_deref();
                Ok(match matches {
                    true => TailEvent::Record(Box::new(Record::copy_of(&message))),
                    false => TailEvent::Idle,
                })
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.unread.remove(&partition);
                Ok(TailEvent::Idle)
            }
            Some(Err(error)) if is_transient(&error) => Ok(TailEvent::Idle),
            Some(Err(error)) if is_unknown_topic(&error) => Err(ClusterError::NotFound(format!(
                "topic {} was deleted",
                self.topic
            ))),
            Some(Err(error)) => Err(ClusterError::failed(format!("read {}", self.topic), error)),
        }
    }
}

/// Removes the partition of the message if its end is reached.
fn mark_read(unread: &mut BTreeMap<i32, i64>, message: &BorrowedMessage<'_>) {
    let end = unread.get(&message.partition());
    if end.is_some_and(|end| message.offset() + 1 >= *end) {
        unread.remove(&message.partition());
    }
}
