//! The records of topics, up to where a topic ended when reading began.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use kafka_runtime::dead_letter::Header;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};
use shared_events::{Decoded, Envelope, Poison};

use crate::clients;
use crate::cluster::{Cluster, TIMEOUT, blocking};
use crate::cluster_error::ClusterError;

/// How long a topic may return no record before reading fails.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// `isolation.level`: which records a reader receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Not the records of aborted and open transactions.
    ReadCommitted,
    /// All records.
    ReadUncommitted,
}

impl Isolation {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// The offset at which reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The oldest record of each partition.
    Beginning,
    /// The first record with this timestamp or a later one, milliseconds since 1970.
    Time(i64),
    /// This offset of each partition, or the oldest record if its offset is greater.
    Offset(i64),
    /// This number of offsets before the end of each partition.
    Last(i64),
    /// These offsets, by partition. Partitions without an offset are read from the beginning.
    Offsets(BTreeMap<i32, i64>),
}

/// The records to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where reading begins.
    pub start: Start,
    /// Whether the records of aborted and open transactions are read.
    pub isolation: Isolation,
    /// If set, only records with this key.
    pub key: Option<Vec<u8>>,
}

impl Default for Query {
    /// All committed records.
    fn default() -> Self {
        Self {
            start: Start::Beginning,
            isolation: Isolation::ReadCommitted,
            key: None,
        }
    }
}

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic's name on the broker, with the prefix.
    pub topic: String,
    /// The partition number, from 0.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The timestamp, milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The headers in order. `None` if the name of a header is not UTF-8: the client library then
    /// returns no headers at all.
    pub headers: Option<Vec<(String, Option<Vec<u8>>)>>,
    /// The value; a tombstone has none.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// The headers, as the decoders take them. Empty if `headers` is `None`.
    pub fn header_pairs(&self) -> impl Iterator<Item = Header<'_>> {
        let headers = self.headers.iter().flatten();
        headers.map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Decodes the record, see [`Envelope::decode`].
    pub fn decode(&self) -> Result<Decoded, Poison> {
        Envelope::decode(
            self.key.as_deref(),
            self.header_pairs(),
            self.value.as_deref(),
        )
    }

    pub(crate) fn copy_of(message: &BorrowedMessage<'_>) -> Self {
        // rdkafka panics on a header name that is not UTF-8, and has no other access to headers.
        let headers = catch_unwind(AssertUnwindSafe(|| {
            let headers = message.headers().map(|headers| {
                let owned = headers.iter().map(|header| {
                    let value = header.value.map(<[u8]>::to_vec);
                    (header.key.to_owned(), value)
                });
                owned.collect()
            });
            headers.unwrap_or_default()
        }));
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            headers: headers.ok(),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}

impl Cluster {
    /// The records of a topic up to its current end, by partition and offset. A topic that does not
    /// exist has none.
    ///
    /// # Errors
    /// Also if the topic returns no record for 10 s before its end.
    pub async fn read(&self, topic: &str, query: &Query) -> Result<Vec<Record>, ClusterError> {
        let mut records = self.read_all(&[topic.to_owned()], query).await?;
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// The records of several topics up to their current ends, one topic after another. The records
    /// of a topic are in the order of arrival.
    pub async fn read_all(
        &self,
        topics: &[String],
        query: &Query,
    ) -> Result<Vec<Record>, ClusterError> {
        let mut wanted = Vec::new();
        for topic in topics {
            wanted.push((topic.clone(), self.partitions(topic).await?));
        }
        let (settings, query) = (self.settings().clone(), query.clone());
        let read = blocking(move || {
            let consumer = clients::reader(&settings, query.isolation)?;
            let mut records = Vec::new();
            for (topic, partitions) in wanted {
                read_topic(&consumer, &topic, partitions, &query, &mut records)?;
            }
            Ok(records)
        });
        read.await
            .map_err(|error| self.error(format!("read {}", topics.join(", ")), error))
    }
}

/// Reads one topic at a time, since librdkafka reports the end of a partition without its topic.
fn read_topic(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: i32,
    query: &Query,
    records: &mut Vec<Record>,
) -> KafkaResult<()> {
    let mut left = BTreeMap::new();
    let starts = starts(consumer, topic, partitions, &query.start)?;
    let mut assignment = TopicPartitionList::new();
    for (partition, start) in starts {
        // With read_committed the end is the last stable offset. Records after it are not readable.
        let (low, end) = clients::watermarks(consumer, topic, partition)?;
        let start = start.unwrap_or(low).max(low);
        if start < end {
            assignment.add_partition_offset(topic, partition, Offset::Offset(start))?;
            left.insert(partition, end);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    consumer.assign(&assignment)?;
    let mut last_record = Instant::now();
    while !left.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last_record = Instant::now();
                collect(&message, query, &mut left, records);
            }
            // The current end, which is at or after the end when reading began.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
            }
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) => return Err(error),
            None if last_record.elapsed() > STALL_TIMEOUT => {
                let code = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(code));
            }
            None => {}
        }
    }
    consumer.unassign()
}

fn collect(
    message: &BorrowedMessage<'_>,
    query: &Query,
    left: &mut BTreeMap<i32, i64>,
    records: &mut Vec<Record>,
) {
    let Some(end) = left.get(&message.partition()).copied() else {
        return;
    };
    if message.offset() < end && (query.key.is_none() || message.key() == query.key.as_deref()) {
        records.push(Record::copy_of(message));
    }
    if message.offset() + 1 >= end {
        left.remove(&message.partition());
    }
}

/// Whether librdkafka recovers from the error by itself.
pub(crate) fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

/// The offset at which reading each partition begins; `None` is its beginning.
pub(crate) fn starts(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: i32,
    start: &Start,
) -> KafkaResult<Vec<(i32, Option<i64>)>> {
    let all = 0..partitions;
    match start {
        Start::Beginning => Ok(all.map(|partition| (partition, None)).collect()),
        Start::Offset(offset) => Ok(all.map(|partition| (partition, Some(*offset))).collect()),
        Start::Last(offsets) => all
            .map(|partition| {
                let (low, end) = clients::watermarks(consumer, topic, partition)?;
                Ok((partition, Some(end.saturating_sub(*offsets).max(low))))
            })
            .collect(),
        Start::Offsets(offsets) => Ok(all
            .map(|partition| (partition, offsets.get(&partition).copied()))
            .collect()),
        Start::Time(milliseconds) => {
            let mut times = TopicPartitionList::new();
            for partition in all {
                times.add_partition_offset(topic, partition, Offset::Offset(*milliseconds))?;
            }
            let found =
                clients::retry_until_ready(|| consumer.offsets_for_times(times.clone(), TIMEOUT))?;
            let start = |offset| match offset {
                Offset::Offset(offset) => Some(offset),
                // Kafka answers "the end" if all records are older.
                _ => Some(i64::MAX),
            };
            let found = found.elements();
            Ok(found
                .iter()
                .map(|one| (one.partition(), start(one.offset())))
                .collect())
        }
    }
}
