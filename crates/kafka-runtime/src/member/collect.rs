//! Collecting a batch, and what a batch holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use shared_events::{Poison, Topic};

use crate::batch_committer::DeadLetter;
use crate::dead_letter::DeadLetterHeaders;
use crate::faults::{Faults, Protection};
use crate::librdkafka::undecodable::is_undecodable;
use crate::librdkafka::{Client, ConsumerFatal, IDLE_POLL, positions};
use crate::member::classify::{Classification, record_headers};
use crate::member::poison_policy::{BatchCut, RecordKind, RecordRef};
use crate::metrics::labels::SkipReason;
use crate::retry::{Origin, RetryHeaders, RetryRecord, is_retry_header};
use crate::topic_partitions::{Offsets, Partition};

/// Largest size of a batch without its last record, bytes of keys and values. 500 records of 1 MiB would exceed the memory of
/// the container.
const MAX_BYTES: usize = 16 << 20;

/// Characters of a key that are shown.
const MAX_KEY: usize = 64;

/// A polled record with its classification.
pub(crate) struct Collected<'c, W> {
    pub(crate) partition: Partition,
    pub(crate) message: BorrowedMessage<'c>,
    pub(crate) classification: Classification<W>,
    /// The headers that it was sent to the retry topic with, if it was.
    pub(crate) retry: Option<RetryHeaders>,
    /// How often it was tried in this batch. 0 until it has failed.
    pub(crate) attempts: u32,
}

/// How long a record waits, and why it failed. Without a cause it is not due yet, or was not tried.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) wait: Duration,
    pub(crate) cause: Option<String>,
}

/// The records of a batch, in the order in which they were polled: within a partition that is the order of offsets.
pub(crate) struct Batch<'c, W> {
    pub(crate) records: Vec<Collected<'c, W>>,
    /// The next offset of each partition after the batch.
    pub(crate) ends: Offsets,
    /// What the first poison record is that a cut left out, of each partition that it cut.
    pub(crate) left_out: BTreeMap<Partition, String>,
    /// The first record that waits, of each partition that a cut has cut there: its offset and its wait.
    pub(crate) waits: BTreeMap<Partition, (i64, Wait)>,
    /// The partitions that were revoked meanwhile.
    pub(crate) revoked: BTreeSet<Partition>,
    /// The client has skipped a record set after the batch, because it cannot decode it.
    pub(crate) undecodable: bool,
}

/// Which records a batch holds.
#[derive(Debug, Default)]
pub(crate) struct BatchRange {
    /// The first offset of each partition: where to seek back to when the batch fails.
    pub(crate) starts: Offsets,
    /// The last offset of each partition.
    pub(crate) lasts: Offsets,
}

/// Collects at most `max_records` records that are already fetched, and classifies each. Waits only for the first one, never to fill
/// the batch.
///
/// Rebalance callbacks run inside these polls. A poll that ran one returns `None`, which ends the batch. Then the records of
/// revoked partitions are dropped, also of a partition that was assigned again. The broker fences a commit by member and
/// generation, not by partition: committing these records would publish their events twice, and would move the committed
/// offset *back* under the new owner.
pub(crate) fn collect<'c, W>(
    client: &'c Client,
    max_records: usize,
    faults: &Faults,
    classify: impl Fn(Topic, &BorrowedMessage<'c>) -> (Classification<W>, Option<RetryHeaders>),
) -> Result<Batch<'c, W>, ConsumerFatal> {
    let context = client.context();
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut undecodable = false;
    let mut wait = IDLE_POLL;
    while records.len() < max_records && bytes < MAX_BYTES {
        match client.poll(wait) {
            None => break,
            Some(Ok(message)) => {
                if let Some(topic) = context.names().topic(message.topic()) {
                    let number = message.partition();
                    bytes += message.key_len() + message.payload_len();
                    let (classification, retry) = classify(topic, &message);
                    records.push(Collected {
                        partition: Partition { topic, number },
                        message,
                        classification,
                        retry,
                        attempts: 0,
                    });
                }
            }
            Some(Err(error)) if is_fatal(client, &error) => return Err(ConsumerFatal(error)),
            Some(Err(error)) if is_undecodable(&error) => {
                undecodable = true;
                break;
            }
            // librdkafka recovers from other errors, and reports lost connections to readiness through its context.
            Some(Err(error)) => tracing::debug!(%error, "poll failed"),
        }
        wait = Duration::ZERO;
    }
    if !records.is_empty() {
        context.reached();
    }
    let revoked = context.take_revoked();
    if faults.keeps(Protection::DropRevoked) {
        records.retain(|record: &Collected<'_, W>| !revoked.contains(&record.partition));
    }
    let ends = ends(client, &records);
    Ok(Batch {
        records,
        ends,
        left_out: BTreeMap::new(),
        waits: BTreeMap::new(),
        revoked,
        undecodable,
    })
}

/// The next offset of each partition of the batch: the consumer's position. The position is past the control records that
/// `poll` has skipped, so Kafka's tools show lag 0. With the last offset + 1 they would show lag 1 after every transaction.
fn ends<W>(client: &Client, records: &[Collected<'_, W>]) -> Offsets {
    let mut ends = Offsets::new();
    for record in records {
        ends.insert(record.partition, record.offset() + 1);
    }
    for (partition, position) in positions(client) {
        if let Some(end) = ends.get_mut(&partition) {
            *end = position.max(*end);
        }
    }
    ends
}

fn is_fatal(client: &Client, error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || client.client().fatal_error().is_some()
}

impl<W> Batch<'_, W> {
    pub(crate) fn range(&self) -> BatchRange {
        let mut range = BatchRange::default();
        for record in &self.records {
            let (partition, offset) = (record.partition, record.offset());
            range.starts.entry(partition).or_insert(offset);
            range.lasts.insert(partition, offset);
        }
        range
    }

    /// Drops the records that the cut leaves out. Returns the offset to commit of each partition of which a record is kept.
    pub(crate) fn cut(&mut self, cut: &BatchCut) -> Offsets {
        let BatchRange { starts, .. } = self.range();
        let mut offsets = self.ends.clone();
        offsets.extend(&cut.left_out);
        offsets
            .retain(|partition, offset| starts.get(partition).is_some_and(|start| start < offset));
        let left_out = self
            .records
            .iter()
            .filter(|record| cut.left_out.get(&record.partition) == Some(&record.offset()));
        for record in left_out {
            let (partition, offset) = (record.partition, record.offset());
            if let Some(poison) = record.describe_poison() {
                self.left_out.insert(partition, poison);
            }
            if let Classification::Waiting(wait) = &record.classification {
                self.waits.insert(partition, (offset, wait.clone()));
            }
        }
        self.records
            .retain(|record| cut.keeps(&record.record_ref()));
        offsets
    }

    /// The records of the batch that are sent to the retry topic.
    pub(crate) fn retries(&self) -> Vec<RetryRecord<'_>> {
        self.records
            .iter()
            .filter_map(Collected::retry_record)
            .collect()
    }

    /// The poison records of the batch, as dead letters of this consumer group.
    pub(crate) fn dead_letters(&self, group: &str) -> Vec<DeadLetter<'_>> {
        self.records
            .iter()
            .filter_map(|record| record.dead_letter(group))
            .collect()
    }
}

impl<W> Collected<'_, W> {
    pub(crate) fn offset(&self) -> i64 {
        self.message.offset()
    }

    pub(crate) fn record_ref(&self) -> RecordRef {
        let kind = match self.classification {
            Classification::Work(_)
            | Classification::Retry(_)
            | Classification::Skipped(SkipReason::NotOurs | SkipReason::ReplayedForAnother) => {
                RecordKind::Valid
            }
            Classification::Skipped(SkipReason::UnknownType) => RecordKind::UnknownType,
            Classification::Poison(_) => RecordKind::Poison,
            Classification::Waiting(_) => RecordKind::Waiting,
        };
        RecordRef {
            partition: self.partition,
            offset: self.offset(),
            kind,
        }
    }

    pub(crate) fn work(&self) -> Option<&W> {
        match &self.classification {
            Classification::Work(work) => Some(work),
            Classification::Skipped(_)
            | Classification::Poison(_)
            | Classification::Waiting(_)
            | Classification::Retry(_) => None,
        }
    }

    pub(crate) fn poison(&self) -> Option<&Poison> {
        match &self.classification {
            Classification::Poison(poison) => Some(poison),
            Classification::Work(_)
            | Classification::Skipped(_)
            | Classification::Waiting(_)
            | Classification::Retry(_) => None,
        }
    }

    /// Why the record is poison, with its key.
    fn describe_poison(&self) -> Option<String> {
        let poison = self.poison()?;
        let key = String::from_utf8_lossy(self.message.key().unwrap_or_default());
        let key: String = key.chars().take(MAX_KEY).collect();
        Some(format!("the record with key {key:?} is poison: {poison}"))
    }

    /// Where it was read first. A record of the retry topic names that place.
    pub(crate) fn origin(&self) -> Origin {
        let message = &self.message;
        let here = || Origin {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        };
        let retry = self.retry.as_ref();
        retry.map_or_else(here, |retry| retry.origin.clone())
    }

    /// How often it was tried, here and before it was sent to the retry topic.
    pub(crate) fn all_attempts(&self) -> u32 {
        let before = self.retry.as_ref().map_or(0, |retry| retry.attempts);
        before.saturating_add(self.attempts)
    }

    /// The record with the headers of a retry, which replace those of an earlier one.
    fn retry_record(&self) -> Option<RetryRecord<'_>> {
        let Classification::Retry(retry) = &self.classification else {
            return None;
        };
        let own = record_headers(&self.message).unwrap_or_default();
        let own = own.into_iter().filter(|(name, _)| !is_retry_header(name));
        let headers = own.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value })
        });
        Some(RetryRecord {
            key: self.message.key(),
            value: self.message.payload(),
            headers,
            retry,
        })
    }

    fn dead_letter(&self, group: &str) -> Option<DeadLetter<'_>> {
        let poison = self.poison()?;
        let message = &self.message;
        let origin = self.origin();
        let why = DeadLetterHeaders {
            original_topic: origin.topic,
            original_partition: origin.partition,
            original_offset: origin.offset,
            original_timestamp_ms: origin.timestamp_ms,
            consumer_group: group.to_owned(),
            error_class: poison.class,
            error_message: poison.message.clone(),
            failed_at: Utc::now(),
            attempts: self.all_attempts().max(1),
        };
        // Copied without decoding: a header name that is not UTF-8 may be the reason.
        let headers = message.headers();
        Some(DeadLetter {
            key: message.key(),
            value: message.payload(),
            headers: headers.map_or_else(OwnedHeaders::new, |headers| headers.detach()),
            why,
        })
    }
}
