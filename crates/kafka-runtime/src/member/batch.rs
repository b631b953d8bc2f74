//! Collecting a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use crate::faults::{Faults, Protection};
use crate::member::assignment::{Assignment, Partition};
use crate::member::verdict::Verdict;

/// How long an empty poll waits. It is also how soon a wish (pause, stop) is seen.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// Most bytes of keys and values of a batch, but for its last record: 500 records of 1 MiB would be more than the container has.
const MOST_BYTES: usize = 16 << 20;

/// A record, where it is, and what becomes of it.
pub(crate) struct Collected<'c, W> {
    pub(crate) partition: Partition,
    pub(crate) message: BorrowedMessage<'c>,
    pub(crate) verdict: Verdict<W>,
}

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<Partition, i64>;

/// Records that a member still owns, in the order in which they were polled: within a partition that is the order of offsets.
pub(crate) struct Batch<'c, W> {
    pub(crate) records: Vec<Collected<'c, W>>,
    /// Where each partition of the batch goes on after it.
    pub(crate) ends: Offsets,
    /// Somewhere behind the batch is a record set that the client cannot decode.
    pub(crate) undecodable: bool,
}

/// What ends a member: the client itself cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka consumer cannot go on")]
pub struct ConsumerFatal(#[source] pub(crate) KafkaError);

impl<W> Batch<'_, W> {
    /// Where each partition of the batch begins: what to seek back to when the batch fails.
    pub(crate) fn starts(&self) -> Offsets {
        let mut starts = Offsets::new();
        for record in &self.records {
            starts
                .entry(record.partition)
                .or_insert(record.message.offset());
        }
        starts
    }
}

/// Takes what is there, at most `most` records, and reads each; waits only for the first one, never to fill up.
///
/// The rebalance callbacks run inside these polls, and the poll that ran one answers `None`, which ends the batch. Records of
/// partitions that were revoked meanwhile are dropped, also when the partition came back: the broker fences a commit by member
/// and generation, not by who owns the partition, so settling them would double their answers and move the partition's
/// committed offset *back* under its new owner.
pub(crate) fn collect<'c, W>(
    consumer: &'c BaseConsumer<Assignment>,
    most: usize,
    faults: &Faults,
    read: impl Fn(&BorrowedMessage<'c>) -> Verdict<W>,
) -> Result<Batch<'c, W>, ConsumerFatal> {
    let assignment = consumer.context();
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut undecodable = false;
    let mut wait = IDLE_POLL;
    while records.len() < most && bytes < MOST_BYTES {
        match consumer.poll(wait) {
            None => break,
            Some(Ok(message)) => {
                if let Some(topic) = assignment.topic(message.topic()) {
                    let partition = Partition {
                        topic,
                        number: message.partition(),
                    };
                    bytes += message.key_len() + message.payload_len();
                    let verdict = read(&message);
                    records.push(Collected {
                        partition,
                        message,
                        verdict,
                    });
                }
            }
            Some(Err(error)) if is_fatal(consumer, &error) => return Err(ConsumerFatal(error)),
            Some(Err(error)) if is_undecodable(&error) => {
                undecodable = true;
                break;
            }
            // The client mends these by itself, and what it says of the connection reaches readiness by its context.
            Some(Err(error)) => tracing::debug!(%error, "poll"),
        }
        wait = Duration::ZERO;
    }
    if !records.is_empty() {
        assignment.reached();
    }
    let revoked = assignment.take_revoked();
    if faults.keeps(Protection::DropRevoked) {
        records.retain(|record: &Collected<'_, W>| !revoked.contains(&record.partition));
    }
    let ends = ends(consumer, &records);
    Ok(Batch {
        records,
        ends,
        undecodable,
    })
}

/// Where each partition of the batch goes on: the consumer's position, which lies behind the control records that `poll` has
/// passed over, so that Kafka's own tool shows lag 0 at rest. Last offset + 1 would show 1 for ever after a transaction.
fn ends<W>(consumer: &BaseConsumer<Assignment>, records: &[Collected<'_, W>]) -> Offsets {
    let mut ends = Offsets::new();
    for record in records {
        ends.insert(record.partition, record.message.offset() + 1);
    }
    for (partition, position) in positions(consumer) {
        if let Some(end) = ends.get_mut(&partition) {
            *end = position.max(*end);
        }
    }
    ends
}

/// The next offset of each assigned partition of which a record was polled.
pub(crate) fn positions(consumer: &BaseConsumer<Assignment>) -> Offsets {
    let Ok(list) = consumer.position() else {
        return Offsets::new();
    };
    let names = consumer.context();
    let known = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let partition = Partition {
            topic: names.topic(element.topic())?,
            number: element.partition(),
        };
        match element.offset() {
            Offset::Offset(offset) if element.error().is_ok() => Some((partition, offset)),
            _ => None,
        }
    };
    list.elements().iter().filter_map(known).collect()
}

fn is_fatal(consumer: &BaseConsumer<Assignment>, error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || consumer.client().fatal_error().is_some()
}

/// A record set that is damaged, or packed by a codec this client lacks. librdkafka says so once and passes *over* it.
pub(crate) fn is_undecodable(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::NotImplemented
        )
    )
}
