//! The records of topics, up to where a topic ended when reading began.

use std::collections::BTreeMap;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use kafka_runtime::dead_letter::Header;
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::types::RDKafkaErrorCode;
use shared_events::{Decoded, Envelope, Poison};

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
pub use crate::log_reader::MissingOffsets;
use crate::log_reader::{LogReader, Polled};

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

/// Records, and those that were asked for and deleted before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadRecords {
    /// The records.
    pub records: Vec<Record>,
    /// The deleted ones.
    pub missing: Vec<MissingOffsets>,
}

impl Record {
    /// The headers, as the decoders take them. Empty if `headers` is `None`.
    pub fn header_pairs(&self) -> impl DoubleEndedIterator<Item = Header<'_>> {
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
        let topic = [topic.to_owned()];
        let (mut records, _) = self.read_picked(&topic, query, Some).await?;
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// The records of several topics up to their current ends, one topic after another. The records
    /// of a topic are in the order of arrival. Also returns which of the wanted records were deleted
    /// before.
    pub async fn read_all_and_missing(
        &self,
        topics: &[String],
        query: &Query,
    ) -> Result<ReadRecords, ClusterError> {
        let (records, missing) = self.read_picked(topics, query, Some).await?;
        Ok(ReadRecords { records, missing })
    }

    /// Passes each record of several topics up to their current ends, one topic after another, and
    /// keeps none. Returns which of the wanted records were deleted before.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_each(
        &self,
        topics: &[String],
        query: &Query,
        mut on_record: impl FnMut(Record) + Send + 'static,
    ) -> Result<Vec<MissingOffsets>, ClusterError> {
        let pick = move |record| {
            on_record(record);
            None::<()>
        };
        let (_, missing) = self.read_picked(topics, query, pick).await?;
        Ok(missing)
    }

    /// Keeps only what `pick` returns, so that the memory of the other records is free at once. Also
    /// returns which of the wanted records were deleted before.
    pub(crate) async fn read_picked<T: Send + 'static>(
        &self,
        topics: &[String],
        query: &Query,
        mut pick: impl FnMut(Record) -> Option<T> + Send + 'static,
    ) -> Result<(Vec<T>, Vec<MissingOffsets>), ClusterError> {
        let mut wanted = Vec::new();
        for topic in topics {
            wanted.push((topic.clone(), self.partitions(topic).await?));
        }
        let (settings, query) = (self.settings().clone(), query.clone());
        // When this future is dropped, its thread ends at the next record. Otherwise the program could not end before it.
        let caller = Arc::new(());
        let waits = Arc::downgrade(&caller);
        let read = blocking(move || {
            let consumer = clients::reader(&settings, query.isolation)?;
            let (mut picked, mut missing) = (Vec::new(), Vec::new());
            for (topic, partitions) in wanted {
                let mut reader = LogReader::open(&consumer, &topic, partitions, &query)?;
                let on_record = |record| picked.extend(pick(record));
                read_to_end(&mut reader, on_record, || waits.strong_count() > 0)?;
                missing.extend(iter::from_fn(|| reader.next_missing()));
                consumer.unassign()?;
            }
            Ok((picked, missing))
        });
        read.await
            .map_err(|error| self.error(format!("read {}", topics.join(", ")), error))
    }
}

/// Reads one topic at a time, since librdkafka reports the end of a partition without its topic.
fn read_to_end(
    reader: &mut LogReader<&BaseConsumer>,
    mut on_record: impl FnMut(Record),
    is_wanted: impl Fn() -> bool,
) -> KafkaResult<()> {
    while !reader.is_at_end() {
        if !is_wanted() {
            return Err(KafkaError::Canceled);
        }
        match reader.poll(Duration::from_millis(100))? {
            Polled::Record(record) if reader.is_before_end(record.partition, record.offset) => {
                on_record(*record);
            }
            Polled::Nothing if reader.is_stalled() => {
                let code = RDKafkaErrorCode::OperationTimedOut;
                return Err(KafkaError::MessageConsumption(code));
            }
            Polled::Record(_) | Polled::Skipped | Polled::Nothing => {}
        }
    }
    Ok(())
}
