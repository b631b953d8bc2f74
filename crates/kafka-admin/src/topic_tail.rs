//! The records of one topic, then the records that are published to it.

use std::time::Duration;

use kafka_runtime::client::is_unknown_topic;

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
use crate::log_reader::{LogReader, Polled, STALL_TIMEOUT};
use crate::records::{MissingOffsets, Query, Record};

/// Reads one topic without an end. Partitions that are added later are not read.
pub struct TopicTail {
    reader: LogReader<BaseConsumer>,
    topic: String,
    end_reported: bool,
}

/// What [`TopicTail::next`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailEvent {
    /// A record. The records of one partition are in order.
    Record(Box<Record>),
    /// Records that the query asked for were deleted before they were read.
    Missing(MissingOffsets),
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
            let reader = LogReader::open(consumer, &name, partitions, &query)?;
            Ok(TopicTail {
                reader,
                topic: name,
                end_reported: false,
            })
        });
        opened
            .await
            .map_err(|error| self.error(format!("read {topic}"), error))
    }
}

impl TopicTail {
    /// The partitions that are read.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.reader.partitions()
    }

    /// Whether this partition is read from its oldest record.
    pub fn starts_at_beginning(&self, partition: i32) -> bool {
        self.reader.starts_at_log_start(partition)
    }

    /// Returns the next record, or [`TailEvent::Idle`] after `within`. Blocks, so call it on a
    /// thread of its own. While no broker answers, it returns [`TailEvent::Idle`].
    ///
    /// # Errors
    /// [`ClusterError::NotFound`], if the topic was deleted. [`ClusterError::TimedOut`], if no
    /// record arrives for 10 s before [`TailEvent::End`].
    pub fn next(&mut self, within: Duration) -> Result<TailEvent, ClusterError> {
        if let Some(missing) = self.reader.next_missing() {
            return Ok(TailEvent::Missing(missing));
        }
        if self.reader.is_at_end() && !self.end_reported {
            self.end_reported = true;
            return Ok(TailEvent::End);
        }
        match self.reader.poll(within) {
            Ok(Polled::Record(record)) => Ok(TailEvent::Record(record)),
            Ok(Polled::Nothing) if self.reader.is_stalled() => {
                Err(ClusterError::TimedOut(format!(
                    "{} returned no record for {} s before its end",
                    self.topic,
                    STALL_TIMEOUT.as_secs()
                )))
            }
            Ok(Polled::Nothing | Polled::Skipped) => Ok(TailEvent::Idle),
            Err(error) if is_unknown_topic(&error) => Err(ClusterError::NotFound(format!(
                "topic {} was deleted",
                self.topic
            ))),
            Err(error) => Err(ClusterError::failed(format!("read {}", self.topic), error)),
        }
    }
}
