//! What must be committed together at the end of a batch: its events, its dead letters, its retries and its offsets.
//!
//! There are two modes:
//!
//! * `exactly-once`: one Kafka transaction holds all of them. A crash before the commit leaves nothing that a `read_committed`
//!   reader sees, and the batch is redelivered. A crash after the commit leaves everything. The group coordinator checks the
//!   member by the metadata that is sent with the offsets (KIP-447), so a member that has lost its partitions cannot commit.
//! * `at-least-once`: the events and dead letters first, all acknowledged, then the offsets. A crash in between publishes the
//!   events again. The other order would lose them.
//!
//! The database write of a batch is done before, and it must be idempotent: in both modes the batch may be redelivered.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use shared_events::{Envelope, Service};
use tokio::runtime::Handle;

use crate::broker_health::BrokerHealth;
use crate::client::{self, TRANSACTION_TIMEOUT};
use crate::dead_letter::{DeadLetterHeaders, left_out_pair};
use crate::faults::{CrashPoint, Faults, Protection};
use crate::librdkafka::transaction::{
    abort_transaction, commit_transaction, init_transactions, is_usable_after, send_offsets,
};
use crate::librdkafka::{CommitError, ResilientConsumer, is_rebalance};
use crate::produce::{acknowledged, produce, produce_event, with};
use crate::retry::RetryRecord;
use crate::settings::{DeliveryMode, KafkaSettings};

/// Pause between two looks at whether librdkafka has released the acknowledged records.
///
/// A delivery future completes a moment before the release, and a commit that begins in this moment waits a full 100 ms
/// (measured: 101 ms against 6.9 ms).
const IN_FLIGHT_PAUSE: Duration = Duration::from_micros(20);

/// Fenced twice within this time, by another producer and not by a time-out, means that the `SLOT` is taken.
const SLOT_TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// A poison record as it was, and why it is poison.
pub(crate) struct DeadLetter<'m> {
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    pub(crate) headers: OwnedHeaders,
    pub(crate) why: DeadLetterHeaders,
}

/// What is committed together.
pub(crate) struct BatchOutput<'b> {
    pub(crate) events: &'b [Envelope],
    pub(crate) dead_letters: &'b [DeadLetter<'b>],
    pub(crate) retries: &'b [RetryRecord<'b>],
    /// The next offset of each partition of the batch.
    pub(crate) offsets: TopicPartitionList,
}

/// The producer of a member. It commits batches.
pub(crate) struct BatchCommitter {
    service: Service,
    kafka: KafkaSettings,
    mode: DeliveryMode,
    faults: Faults,
    health: BrokerHealth,
    runtime: Handle,
    transactional_id: String,
    dead_letter_topic: String,
    /// A service without one has no retries.
    retry_topic: Option<String>,
    producer: Option<FutureProducer<BrokerHealth>>,
    last_fenced: Option<Instant>,
}

impl BatchCommitter {
    pub(crate) fn new(
        service: Service,
        kafka: KafkaSettings,
        mode: DeliveryMode,
        faults: Faults,
        health: BrokerHealth,
        runtime: Handle,
    ) -> Self {
        let transactional_id = client::transactional_id(service, &kafka);
        let prefix = kafka.name_prefix.clone();
        let dead_letter_topic = prefix.topic(service.dead_letter_topic());
        Self {
            service,
            kafka,
            mode,
            faults,
            health,
            runtime,
            transactional_id,
            dead_letter_topic,
            retry_topic: service.retry_topic().map(|topic| prefix.topic(topic)),
            producer: None,
            last_fenced: None,
        }
    }

    /// Creates the producer if there is none. A transactional one first aborts the open transaction of a predecessor with the
    /// same id, and fences it.
    pub(crate) fn prepare(&mut self) -> Result<(), CommitError> {
        if self.producer.is_none() {
            self.producer = Some(self.create_producer().map_err(CommitError::Retryable)?);
        }
        Ok(())
    }

    fn create_producer(&self) -> Result<FutureProducer<BrokerHealth>, KafkaError> {
        let client_id = client::client_id(self.service, &self.kafka);
        let health = self.health.clone();
        match self.mode {
            DeliveryMode::AtLeastOnce => {
                client::idempotent_producer(&self.kafka, &client_id, 0, health)
            }
            DeliveryMode::ExactlyOnce => {
                let id = &self.transactional_id;
                let producer = client::transactional_producer(&self.kafka, &client_id, id, health)?;
                init_transactions(&producer)?;
                Ok(producer)
            }
        }
    }

    /// Commits a batch. The error says what the caller must do.
    pub(crate) fn commit(
        &mut self,
        consumer: &ResilientConsumer,
        output: &BatchOutput<'_>,
    ) -> Result<(), CommitError> {
        if output.events.is_empty() && output.dead_letters.is_empty() && output.retries.is_empty() {
            // A transaction that holds only offsets would promise no more than this commit.
            return consumer.commit_offsets(&output.offsets);
        }
        self.prepare()?;
        match self.mode {
            DeliveryMode::ExactlyOnce => self.commit_in_transaction(consumer, output),
            DeliveryMode::AtLeastOnce => self.commit_events_first(consumer, output),
        }
    }

    fn commit_events_first(
        &mut self,
        consumer: &ResilientConsumer,
        output: &BatchOutput<'_>,
    ) -> Result<(), CommitError> {
        let started = Instant::now();
        let produced = self.produce_outputs(output);
        produced.map_err(|error| self.give_up(error, started))?;
        self.faults.pass(CrashPoint::OutputsAcknowledged);
        consumer.commit_offsets(&output.offsets)
    }

    fn commit_in_transaction(
        &mut self,
        consumer: &ResilientConsumer,
        output: &BatchOutput<'_>,
    ) -> Result<(), CommitError> {
        let started = Instant::now();
        // Read once: the protection can be switched while a transaction is open.
        let offsets_inside = self.faults.keeps(Protection::OffsetsInTransaction);
        let filled = self.fill_transaction(consumer, output, offsets_inside);
        filled.map_err(|error| self.give_up(error, started))?;
        let committed = commit_transaction(self.producer().map_err(CommitError::Retryable)?);
        committed.map_err(|error| self.commit_failed(error, started))?;
        if !offsets_inside {
            self.faults.pass(CrashPoint::OutputsAcknowledged);
            return consumer.commit_offsets(&output.offsets);
        }
        Ok(())
    }

    /// Everything of the transaction except its commit. The transaction does not span the processing: its time-out is how long
    /// the partitions of a dead member are blocked.
    fn fill_transaction(
        &self,
        consumer: &ResilientConsumer,
        output: &BatchOutput<'_>,
        offsets_inside: bool,
    ) -> Result<(), KafkaError> {
        let producer = self.producer()?;
        producer.begin_transaction()?;
        self.produce_outputs(output)?;
        if !offsets_inside {
            return Ok(());
        }
        self.faults.pass(CrashPoint::OutputsAcknowledged);
        // Read for each transaction: it carries the generation by which the coordinator fences a member that was removed.
        let group = consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        send_offsets(producer, &output.offsets, group)?;
        self.faults.pass(CrashPoint::OffsetsAdded);
        Ok(())
    }

    fn producer(&self) -> Result<&FutureProducer<BrokerHealth>, KafkaError> {
        self.producer.as_ref().ok_or(KafkaError::Canceled)
    }

    /// Produces events, dead letters and retries, and waits until the broker has acknowledged each.
    fn produce_outputs(&self, output: &BatchOutput<'_>) -> Result<(), KafkaError> {
        let producer = self.producer()?;
        let number = output.events.len() + output.dead_letters.len() + output.retries.len();
        let mut deliveries = Vec::with_capacity(number);
        for event in output.events {
            deliveries.push(produce_event(producer, &self.kafka.name_prefix, event)?);
        }
        for dead_letter in output.dead_letters {
            deliveries.push(self.produce_dead_letter(producer, dead_letter)?);
        }
        for record in output.retries {
            deliveries.push(self.produce_retry(producer, record)?);
        }
        self.runtime
            .block_on(try_join_all(deliveries.into_iter().map(acknowledged)))?;
        while producer.in_flight_count() > 0 {
            std::thread::sleep(IN_FLIGHT_PAUSE);
        }
        Ok(())
    }

    /// Produces the record unchanged. A producer counts the uncompressed bytes, so it refuses some records that their topic
    /// holds: such a dead letter has only headers. Otherwise the record would block its partition for ever.
    fn produce_dead_letter(
        &self,
        producer: &FutureProducer<BrokerHealth>,
        dead_letter: &DeadLetter<'_>,
    ) -> Result<DeliveryFuture, KafkaError> {
        let to = || FutureRecord::<[u8], [u8]>::to(&self.dead_letter_topic);
        let why = dead_letter.why.to_pairs();
        let mut record = to().headers(with(dead_letter.headers.clone(), &why));
        record.key = dead_letter.key;
        record.payload = dead_letter.value;
        match produce(producer, record) {
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) =>
            {
                let parts = dead_letter.key.into_iter().chain(dead_letter.value);
                let left_out = left_out_pair(parts.map(<[u8]>::len).sum());
                let headers = with(with(OwnedHeaders::new(), &why), &[left_out]);
                produce(producer, to().headers(headers))
            }
            produced => produced,
        }
    }

    fn produce_retry(
        &self,
        producer: &FutureProducer<BrokerHealth>,
        retry: &RetryRecord<'_>,
    ) -> Result<DeliveryFuture, KafkaError> {
        let topic = self.retry_topic.as_deref().ok_or(KafkaError::Canceled)?;
        let headers = with(retry.headers.clone(), &retry.retry.to_pairs());
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
        record.key = retry.key;
        record.payload = retry.value;
        produce(producer, record)
    }

    /// After a failure before the commit, nothing is committed. Aborts the transaction, and drops a producer that is not usable
    /// any more: the next batch creates another.
    fn give_up(&mut self, error: KafkaError, started: Instant) -> CommitError {
        let usable = |producer: &FutureProducer<BrokerHealth>| match self.mode {
            DeliveryMode::AtLeastOnce => is_usable_after(producer, &error),
            DeliveryMode::ExactlyOnce => abort_transaction(producer, &error),
        };
        if !self.producer.as_ref().is_some_and(usable) {
            self.producer = None;
        }
        self.classify(error, started)
    }

    fn commit_failed(&mut self, error: KafkaError, started: Instant) -> CommitError {
        if let KafkaError::Transaction(cause) = &error
            && cause.txn_requires_abort()
        {
            return self.give_up(error, started);
        }
        self.producer = None;
        // A fatal error too leaves the outcome unknown: it may answer the repetition of a commit that had succeeded.
        match self.classify(error, started) {
            CommitError::Retryable(error) | CommitError::Rebalanced(error) => {
                CommitError::OutcomeUnknown(error)
            }
            other => other,
        }
    }

    fn classify(&mut self, error: KafkaError, started: Instant) -> CommitError {
        match error.rdkafka_error_code() {
            Some(code) if is_rebalance(code) => CommitError::Rebalanced(error),
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch,
            ) => self.fenced(error, started),
            _ => CommitError::Retryable(error),
        }
    }

    /// The broker also fences a transaction that outlived its time-out, so an early fence is by another producer with the same
    /// id. One such fence may come from a restart; two in a minute come from a process with the same `SLOT`.
    fn fenced(&mut self, error: KafkaError, started: Instant) -> CommitError {
        let by_another = started.elapsed() < TRANSACTION_TIMEOUT;
        if !by_another || self.kafka.slot.is_none() {
            return CommitError::Retryable(error);
        }
        let again = self
            .last_fenced
            .is_some_and(|last| last.elapsed() < SLOT_TAKEN_WITHIN);
        self.last_fenced = Some(Instant::now());
        match again {
            true => CommitError::SlotTaken,
            false => CommitError::Retryable(error),
        }
    }
}
