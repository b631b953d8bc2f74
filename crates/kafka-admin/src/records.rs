//! What is in the topics.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};
use shared_events::{Decoded, Envelope, Poison};

use crate::{Cluster, ClusterError, TIMEOUT, handles};
use kafka_runtime::dead_letter::Header;

/// How long a topic may bring nothing new before reading it is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// Which records are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Only those that count: not those of transactions that were aborted or are open.
    ReadCommitted,
    /// All.
    ReadUncommitted,
}

impl Isolation {
    /// Kafka's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// Where reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is still there.
    Beginning,
    /// With the first record whose timestamp (milliseconds since 1970) is not before this.
    Time(i64),
    /// With this offset of each partition, or with its oldest record if that has a later one.
    Offset(i64),
    /// So many offsets before the end of each partition.
    Last(i64),
    /// With these offsets, by partition; partitions not named are read from the beginning.
    Offsets(BTreeMap<i32, i64>),
}

/// What to read. It always ends where the topic ended when reading began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where to begin.
    pub start: Start,
    /// Which records are seen.
    pub isolation: Isolation,
    /// Only records of this key.
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

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic's name on the broker, prefix included.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its headers in order. `None`: a header's name is not UTF-8, and then the client library can show none of them.
    pub headers: Option<Vec<(String, Option<Vec<u8>>)>>,
    /// Its value; a tombstone has none.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// The headers as readers take them; none if they cannot be shown.
    pub fn header_pairs(&self) -> impl Iterator<Item = Header<'_>> {
        let headers = self.headers.iter().flatten();
        headers.map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The event in it, or why it is none.
    pub fn decode(&self) -> Result<Decoded, Poison> {
        Envelope::decode(
            self.key.as_deref(),
            self.header_pairs(),
            self.value.as_deref(),
        )
    }

    pub(super) fn read(message: &BorrowedMessage<'_>) -> Self {
        // rdkafka panics on a header name that is not UTF-8, and has no other way to look at it.
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
    /// The records of a topic up to where it ended when reading began, by partition and offset. Joins no group and commits
    /// nothing. A topic that does not exist has no records.
    pub async fn read(&self, topic: &str, query: &Query) -> Result<Vec<Record>, ClusterError> {
        let mut records = self.read_all(&[topic.to_owned()], query).await?;
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// The same for several topics, one after the other, as they come.
    pub async fn read_all(
        &self,
        topics: &[String],
        query: &Query,
    ) -> Result<Vec<Record>, ClusterError> {
        let mut wanted = Vec::new();
        for topic in topics {
            wanted.push((topic.clone(), self.partitions(topic).await?));
        }
        let (settings, query) = (self.settings.clone(), query.clone());
        let read = self.blocking(move || {
            let consumer = handles::reader(&settings, query.isolation)?;
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

/// One topic at a time, since librdkafka tells the end of a *partition* without naming its topic.
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
        // With read_committed this is the last stable offset: nothing beyond it could be read.
        let (low, end) = handles::watermarks(consumer, topic, partition)?;
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
    let mut last_news = Instant::now();
    while !left.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last_news = Instant::now();
                take(&message, query, &mut left, records);
            }
            // The end as it is now, which is not before the end as it was.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
            }
            Some(Err(error)) if is_passing(&error) => {}
            Some(Err(error)) => return Err(error),
            None if last_news.elapsed() > SILENCE => {
                let code = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(code));
            }
            None => {}
        }
    }
    consumer.unassign()
}

fn take(
    message: &BorrowedMessage<'_>,
    query: &Query,
    left: &mut BTreeMap<i32, i64>,
    records: &mut Vec<Record>,
) {
    let Some(end) = left.get(&message.partition()).copied() else {
        return;
    };
    if message.offset() < end && (query.key.is_none() || message.key() == query.key.as_deref()) {
        records.push(Record::read(message));
    }
    if message.offset() + 1 >= end {
        left.remove(&message.partition());
    }
}

/// What librdkafka mends by itself.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

/// The offset at which each partition begins; `None` is its beginning.
pub(super) fn starts(
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
                let (low, end) = handles::watermarks(consumer, topic, partition)?;
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
            let found = handles::patiently(|| consumer.offsets_for_times(times.clone(), TIMEOUT))?;
            let start = |offset| match offset {
                Offset::Offset(offset) => Some(offset),
                // Kafka answers "the end" when no record is that young.
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
