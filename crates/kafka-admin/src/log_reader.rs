//! Reads the log of a topic from a start, and knows where the log ended when reading began.
//!
//! Offsets that were asked for and are not in the log any more are reported, and never skipped in
//! silence. That holds at the start, and when records are deleted before they are read.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::clients::{self, BaseConsumer};
use crate::cluster::TIMEOUT;
use crate::records::{Query, Record, Start};

/// How long a topic may return no record before reading fails.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Records that a reader asked for, and that were deleted before: by retention, by delete-records,
/// or because the topic was recreated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingOffsets {
    /// The topic's name on the broker.
    pub topic: String,
    /// The partition number, from 0.
    pub partition: i32,
    /// The first missing offset; `None` if the start was a time, so that it is unknown whether the
    /// deleted records were asked for.
    pub from: Option<i64>,
    /// The offset at which reading goes on: where the log begins.
    pub log_start: i64,
}

impl fmt::Display for MissingOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            from,
            log_start,
        } = self;
        let place = format_args!("{topic}[{partition}]");
        let last = log_start - 1;
        match from {
            None => write!(
                f,
                "{place}: the log begins at offset {log_start}; older records of the requested time may have been deleted"
            ),
            Some(from) if *from == last => {
                write!(
                    f,
                    "{place}: offset {last} was deleted; the log begins at offset {log_start}"
                )
            }
            Some(from) if from > log_start => write!(
                f,
                "{place}: offset {from} does not exist any more; the log begins at offset {log_start}"
            ),
            Some(from) => write!(
                f,
                "{place}: offsets {from} to {last} were deleted; the log begins at offset {log_start}"
            ),
        }
    }
}

/// What [`LogReader::poll`] returns.
pub(crate) enum Polled {
    /// A record.
    Record(Box<Record>),
    /// A record with another key, the end of a partition, or an error that librdkafka recovers from.
    Skipped,
    /// Nothing arrived.
    Nothing,
}

/// Reads one topic. Partitions that are added later are not read.
pub(crate) struct LogReader<C> {
    consumer: C,
    topic: String,
    key: Option<Vec<u8>>,
    /// Records before this offset are not returned: the wanted start may be after the end.
    first_wanted: i64,
    /// The offset of the next record of each partition.
    next: BTreeMap<i32, i64>,
    /// The end of each partition when reading began.
    ends: BTreeMap<i32, i64>,
    /// The partitions that have not been read to their end.
    unread: BTreeMap<i32, i64>,
    /// Partitions that are read from their oldest record.
    from_log_start: Vec<i32>,
    missing: VecDeque<MissingOffsets>,
    last_record: Instant,
    assigned: bool,
}

impl<C: Borrow<BaseConsumer>> LogReader<C> {
    /// Finds start and end of each partition. With `read_committed` an end is the last stable offset.
    /// Records after it are returned once their transaction is committed.
    pub(crate) fn open(
        consumer: C,
        topic: &str,
        partitions: i32,
        query: &Query,
    ) -> KafkaResult<Self> {
        let mut reader = Self {
            consumer,
            topic: topic.to_owned(),
            key: query.key.clone(),
            first_wanted: match query.start {
                Start::Offset(offset) => offset,
                _ => 0,
            },
            next: BTreeMap::new(),
            ends: BTreeMap::new(),
            unread: BTreeMap::new(),
            from_log_start: Vec::new(),
            missing: VecDeque::new(),
            last_record: Instant::now(),
            assigned: false,
        };
        let found = starts(reader.consumer.borrow(), topic, partitions, &query.start)?;
        for (partition, wanted) in found {
            let (low, end) = clients::watermarks(reader.consumer.borrow(), topic, partition)?;
            let end = end.max(low);
            let start = wanted.unwrap_or(low).clamp(low, end);
            let missing = missing_at_start(&query.start, partition, wanted, low);
            reader.missing.extend(missing.map(|from| MissingOffsets {
                topic: topic.to_owned(),
                partition,
                from,
                log_start: low,
            }));
            reader.next.insert(partition, start);
            reader.ends.insert(partition, end);
            if start == low {
                reader.from_log_start.push(partition);
            }
            if start < end {
                reader.unread.insert(partition, end);
            }
        }
        Ok(reader)
    }

    fn assign(&mut self) -> KafkaResult<()> {
        let mut assignment = TopicPartitionList::new();
        for (partition, next) in &self.next {
            assignment.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
        }
        self.consumer.borrow().assign(&assignment)?;
        self.assigned = true;
        Ok(())
    }

    /// Whether everything was read that the log had when reading began.
    pub(crate) fn is_at_end(&self) -> bool {
        self.unread.is_empty()
    }

    /// Whether the log had this offset when reading began.
    pub(crate) fn is_before_end(&self, partition: i32, offset: i64) -> bool {
        self.ends.get(&partition).is_some_and(|end| offset < *end)
    }

    /// Whether no record has arrived for [`STALL_TIMEOUT`], although the end is not reached.
    pub(crate) fn is_stalled(&self) -> bool {
        !self.is_at_end() && self.last_record.elapsed() > STALL_TIMEOUT
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.next.keys().copied()
    }

    /// Whether this partition is read from its oldest record.
    pub(crate) fn starts_at_log_start(&self, partition: i32) -> bool {
        self.from_log_start.contains(&partition)
    }

    /// Returns missing offsets, each once.
    pub(crate) fn next_missing(&mut self) -> Option<MissingOffsets> {
        self.missing.pop_front()
    }

    /// Returns the next record. Blocks for at most `within`.
    pub(crate) fn poll(&mut self, within: Duration) -> KafkaResult<Polled> {
        if !self.assigned {
            self.assign()?;
        }
        match self.consumer.borrow().poll(within) {
            None => return Ok(Polled::Nothing),
            Some(Ok(message)) => {
                self.last_record = Instant::now();
                let (partition, next) = (message.partition(), message.offset() + 1);
                self.next.insert(partition, next);
                if self.unread.get(&partition).is_some_and(|end| next >= *end) {
                    self.unread.remove(&partition);
                }
                let matches = self.key.is_none() || message.key() == self.key.as_deref();
                return Ok(match matches && message.offset() >= self.first_wanted {
                    true => Polled::Record(Box::new(Record::copy_of(&message))),
                    false => Polled::Skipped,
                });
            }
            // The current end, which is at or after the end when reading began.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.unread.remove(&partition);
            }
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) if is_out_of_range(&error) => self.go_on_at_log_start()?,
            Some(Err(error)) => return Err(error),
        }
        Ok(Polled::Skipped)
    }

    /// The client does not say which partition it is, so all are compared with their logs.
    fn go_on_at_log_start(&mut self) -> KafkaResult<()> {
        for (partition, next) in &mut self.next {
            let (low, end) = clients::watermarks(self.consumer.borrow(), &self.topic, *partition)?;
            if (low..=end).contains(next) {
                continue;
            }
            self.missing.push_back(MissingOffsets {
                topic: self.topic.clone(),
                partition: *partition,
                from: Some(*next),
                log_start: low,
            });
            *next = low;
            self.first_wanted = 0;
            if self.unread.get(partition).is_some_and(|end| low >= *end) {
                self.unread.remove(partition);
            }
        }
        self.assign()
    }
}

/// Whether records before the beginning of the log were asked for: the first missing offset, or
/// `None` inside for a time.
fn missing_at_start(
    start: &Start,
    partition: i32,
    wanted: Option<i64>,
    low: i64,
) -> Option<Option<i64>> {
    let from = match start {
        Start::Beginning => 0,
        Start::Offset(offset) => *offset,
        Start::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(0),
        Start::Last(_) => return None,
        Start::Time(_) => return (low > 0 && wanted == Some(low)).then_some(None),
    };
    (from < low).then_some(Some(from))
}

/// Whether librdkafka recovers from the error by itself.
pub(crate) fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown)
    )
}

/// Whether the offset of a partition is not in its log. The consumers have
/// `auto.offset.reset=error`.
fn is_out_of_range(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

/// The offset at which reading each partition begins; `None` is its beginning.
fn starts(
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

#[cfg(test)]
mod tests;
