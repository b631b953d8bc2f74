//! What has to happen together at the end of a batch.
//!
//! A batch is settled when its events are told, its poison is set aside, and its offsets are committed. Two modes:
//!
//! * `exactly-once`: all three in one Kafka transaction. A crash before the commit leaves nothing that a `read_committed`
//!   reader can see, and the batch comes again; after it, everything. Whether this member may still speak for its group is
//!   checked by the group's coordinator (KIP-447), from the metadata sent with the offsets.
//! * `at-least-once`: the events first, all acknowledged, then the offsets. A crash in between tells the events again. Never
//!   the other way round: that would lose them.
//!
//! An effect in a database must be done before this is called, and must be idempotent: the batch may come again in both modes.

mod commit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use shared_events::{Envelope, Service};
use tokio::runtime::Handle;

use crate::client::{self, Connection, TRANSACTION_TIMEOUT_MS};
use crate::dead_letter::{DeadLetterHeaders, left_out_pair};
use crate::faults::{CrashPoint, Faults, Protection};
use crate::member::assignment::Assignment;
use crate::send::{delivered, send, send_event};
use crate::settings::{DeliveryMode, KafkaSettings};
pub(crate) use commit::{COMMIT_LIMIT, commit};
use commit::{commit_patiently, group_moved, is_fatal, is_timeout};

/// How long one call to the broker may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at whether librdkafka has forgotten a delivered record: a future completes a moment before that, and a
/// commit begun in that moment waits a full 100 ms (measured: 101 ms against 6.9 ms).
const IN_FLIGHT_NAP: Duration = Duration::from_micros(20);

/// A record set aside: as it was, and why.
pub(crate) struct DeadLetter<'m> {
    pub(crate) key: Option<&'m [u8]>,
    pub(crate) value: Option<&'m [u8]>,
    pub(crate) headers: OwnedHeaders,
    pub(crate) why: DeadLetterHeaders,
}

/// All that is settled together.
pub(crate) struct Settlement<'b> {
    pub(crate) events: &'b [Envelope],
    pub(crate) dead_letters: &'b [DeadLetter<'b>],
    /// Where each partition of the batch goes on.
    pub(crate) offsets: TopicPartitionList,
}

/// Why a batch is not settled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsettled {
    /// The group has moved on: a rebalance. It happens whenever members come and go, and is no fault.
    #[error("the group moved on")]
    GroupMoved(#[source] KafkaError),
    /// The outcome of the commit is unknown; the committed offsets tell it once the transaction has ended.
    #[error("the commit was not answered")]
    Unknown(#[source] KafkaError),
    /// Anything else: nothing is settled.
    #[error("the batch could not be settled")]
    Failed(#[source] KafkaError),
    /// A commit by itself was not answered, and never will be: the consumer is of no use any more.
    #[error("a commit is not answered")]
    NotAnswered,
    /// Another process uses this `SLOT`.
    #[error("another process runs with the same SLOT: each keeps fencing the other")]
    SlotTaken,
}

/// The producing half of a member.
pub(crate) struct Settler {
    service: Service,
    kafka: KafkaSettings,
    mode: DeliveryMode,
    faults: Faults,
    connection: Connection,
    runtime: Handle,
    commit_limit: Duration,
    transactional_id: String,
    dead_letter_topic: String,
    producer: Option<FutureProducer<Connection>>,
    last_fenced: Option<Instant>,
}

impl Settler {
    pub(crate) fn new(
        service: Service,
        kafka: KafkaSettings,
        mode: DeliveryMode,
        faults: Faults,
        connection: Connection,
        runtime: Handle,
        commit_limit: Duration,
    ) -> Self {
        let transactional_id = client::transactional_id(service, &kafka);
        let dead_letter_topic = kafka.name_prefix.topic(service.dead_letter_topic());
        Self {
            service,
            kafka,
            mode,
            faults,
            connection,
            runtime,
            commit_limit,
            transactional_id,
            dead_letter_topic,
            producer: None,
            last_fenced: None,
        }
    }

    /// Makes the producer if there is none. For a transactional one this ends what a predecessor with the same id left open, and
    /// fences it.
    pub(crate) fn prepare(&mut self) -> Result<&FutureProducer<Connection>, Unsettled> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.make_producer().map_err(Unsettled::Failed)?,
        };
        Ok(self.producer.insert(producer))
    }

    fn make_producer(&self) -> Result<FutureProducer<Connection>, KafkaError> {
        let client_id = client::client_id(self.service, &self.kafka);
        let connection = self.connection.clone();
        match self.mode {
            DeliveryMode::AtLeastOnce => {
                client::idempotent_producer(&self.kafka, &client_id, 0, connection)
            }
            DeliveryMode::ExactlyOnce => {
                let id = &self.transactional_id;
                let producer =
                    client::transactional_producer(&self.kafka, &client_id, id, connection)?;
                producer.init_transactions(CALL_TIMEOUT)?;
                Ok(producer)
            }
        }
    }

    /// Settles a batch, or leaves it as it was: then the caller seeks back and tries again.
    pub(crate) fn settle(
        &mut self,
        consumer: &Arc<BaseConsumer<Assignment>>,
        settlement: &Settlement<'_>,
    ) -> Result<(), Unsettled> {
        let silent = settlement.events.is_empty() && settlement.dead_letters.is_empty();
        let result = if silent {
            // A transaction holding nothing but offsets would promise no more than a commit does.
            commit(consumer, &settlement.offsets, self.commit_limit)
        } else {
            self.prepare()?;
            match self.mode {
                DeliveryMode::ExactlyOnce => self.in_transaction(consumer, settlement),
                DeliveryMode::AtLeastOnce => self.events_first(consumer, settlement),
            }
        };
        if result.is_ok() {
            self.faults.pass(CrashPoint::BatchSettled);
        }
        result
    }

    fn events_first(
        &mut self,
        consumer: &Arc<BaseConsumer<Assignment>>,
        settlement: &Settlement<'_>,
    ) -> Result<(), Unsettled> {
        let started = Instant::now();
        let told = self.tell(settlement);
        told.map_err(|error| self.give_up(error, started))?;
        self.faults.pass(CrashPoint::OutputsAcknowledged);
        commit(consumer, &settlement.offsets, self.commit_limit)
    }

    fn in_transaction(
        &mut self,
        consumer: &Arc<BaseConsumer<Assignment>>,
        settlement: &Settlement<'_>,
    ) -> Result<(), Unsettled> {
        let started = Instant::now();
        let prepared = self.fill_transaction(consumer, settlement);
        prepared.map_err(|error| self.give_up(error, started))?;
        let committed = commit_patiently(self.producer()?);
        committed.map_err(|error| self.commit_failed(error, started))?;
        if !self.faults.keeps(Protection::OffsetsInTransaction) {
            self.faults.pass(CrashPoint::OutputsAcknowledged);
            return commit(consumer, &settlement.offsets, self.commit_limit);
        }
        Ok(())
    }

    /// Everything of the transaction but its commit. The transaction spans only this, never the processing: the time-out of a
    /// transaction is how long a dead member's partitions stand still.
    fn fill_transaction(
        &self,
        consumer: &Arc<BaseConsumer<Assignment>>,
        settlement: &Settlement<'_>,
    ) -> Result<(), KafkaError> {
        let producer = self.producer.as_ref().ok_or(KafkaError::Canceled)?;
        producer.begin_transaction()?;
        self.tell(settlement)?;
        if !self.faults.keeps(Protection::OffsetsInTransaction) {
            return Ok(());
        }
        self.faults.pass(CrashPoint::OutputsAcknowledged);
        // Fresh for each transaction: it carries the generation by which the coordinator fences a member that lost its place.
        let group = consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        producer.send_offsets_to_transaction(&settlement.offsets, &group, CALL_TIMEOUT)?;
        self.faults.pass(CrashPoint::OffsetsAdded);
        Ok(())
    }

    fn producer(&self) -> Result<&FutureProducer<Connection>, Unsettled> {
        self.producer
            .as_ref()
            .ok_or(Unsettled::Failed(KafkaError::Canceled))
    }

    /// Sends events and dead letters, and waits until the broker has acknowledged each.
    fn tell(&self, settlement: &Settlement<'_>) -> Result<(), KafkaError> {
        let producer = self.producer.as_ref().ok_or(KafkaError::Canceled)?;
        let mut deliveries =
            Vec::with_capacity(settlement.events.len() + settlement.dead_letters.len());
        for event in settlement.events {
            deliveries.push(send_event(producer, &self.kafka.name_prefix, event)?);
        }
        for letter in settlement.dead_letters {
            deliveries.push(self.set_aside(producer, letter)?);
        }
        self.runtime
            .block_on(try_join_all(deliveries.into_iter().map(delivered)))?;
        while producer.in_flight_count() > 0 {
            std::thread::sleep(IN_FLIGHT_NAP);
        }
        Ok(())
    }

    /// Sends the record as it was. One that is too large for a producer, who counts it unpacked, is left out of its letter: else its
    /// partition would stand before it for ever.
    fn set_aside(
        &self,
        producer: &FutureProducer<Connection>,
        letter: &DeadLetter<'_>,
    ) -> Result<DeliveryFuture, KafkaError> {
        let to = || FutureRecord::<[u8], [u8]>::to(&self.dead_letter_topic);
        let why = letter.why.to_pairs();
        let mut record = to().headers(with(letter.headers.clone(), &why));
        record.key = letter.key;
        record.payload = letter.value;
        match send(producer, record) {
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) =>
            {
                let parts = letter.key.into_iter().chain(letter.value);
                let left_out = left_out_pair(parts.map(<[u8]>::len).sum());
                let headers = with(with(OwnedHeaders::new(), &why), &[left_out]);
                send(producer, to().headers(headers))
            }
            sent => sent,
        }
    }

    /// After a failure before the commit: nothing is settled. A transaction is aborted where that is possible; a producer that
    /// timed out or is fenced is replaced, since a request of it that is still under way could land in the next transaction
    /// (librdkafka #5423).
    fn give_up(&mut self, error: KafkaError, started: Instant) -> Unsettled {
        let usable = |producer: &FutureProducer<Connection>| match self.mode {
            // After a time-out it may have lost every broker for good, and would time out for ever.
            DeliveryMode::AtLeastOnce => {
                !is_timeout(&error) && producer.client().fatal_error().is_none()
            }
            DeliveryMode::ExactlyOnce => {
                !is_fatal(&error)
                    && !is_timeout(&error)
                    && producer.abort_transaction(CALL_TIMEOUT).is_ok()
            }
        };
        if !self.producer.as_ref().is_some_and(usable) {
            self.producer = None;
        }
        self.name(error, started)
    }

    fn commit_failed(&mut self, error: KafkaError, started: Instant) -> Unsettled {
        if let KafkaError::Transaction(cause) = &error
            && cause.txn_requires_abort()
        {
            return self.give_up(error, started);
        }
        self.producer = None;
        // Fatal as well: it may be the answer to a repetition of a commit that had counted.
        match self.name(error, started) {
            Unsettled::Failed(error) | Unsettled::GroupMoved(error) => Unsettled::Unknown(error),
            other => other,
        }
    }

    fn name(&mut self, error: KafkaError, started: Instant) -> Unsettled {
        match error.rdkafka_error_code() {
            Some(code) if group_moved(code) => Unsettled::GroupMoved(error),
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch,
            ) => self.fenced(error, started),
            _ => Unsettled::Failed(error),
        }
    }

    /// A transaction that outlived its time-out is fenced by the broker: that was our own pause. Fenced sooner, twice within a
    /// minute, it was somebody with our id.
    fn fenced(&mut self, error: KafkaError, started: Instant) -> Unsettled {
        let by_somebody = started.elapsed() < Duration::from_millis(TRANSACTION_TIMEOUT_MS);
        if !by_somebody || self.kafka.slot.is_none() {
            return Unsettled::Failed(error);
        }
        let again = self
            .last_fenced
            .is_some_and(|last| last.elapsed() < Duration::from_secs(60));
        self.last_fenced = Some(Instant::now());
        if again {
            Unsettled::SlotTaken
        } else {
            Unsettled::Failed(error)
        }
    }
}

fn with(headers: OwnedHeaders, pairs: &[(&'static str, String)]) -> OwnedHeaders {
    pairs.iter().fold(headers, |headers, (key, value)| {
        let value = Some(value);
        headers.insert(Header { key, value })
    })
}
