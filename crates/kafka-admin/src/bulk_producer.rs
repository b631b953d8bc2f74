//! The producer of a load: many records into one topic, as fast as the broker acknowledges them.
//!
//! * **One [`DeliveryReport`] for each record**: its partition, or why it was not delivered.
//!   [`BulkProducer::poll`] calls the callback on the caller's thread. A sender therefore polls
//!   between records: the thread that allocated the memory of a record also frees it (measured: a
//!   third less processor time than with a thread for delivery reports).
//! * **Bounded memory**: at most [`MAX_IN_FLIGHT`] records have no delivery report yet. Beyond that
//!   [`BulkProducer::send`] returns [`QueueFull`].
//! * **A client that has lost every broker is replaced**, see [`KnownBrokers`]. Its records in
//!   flight fail.
//! * **Retries neither duplicate nor reorder records** while `acks` is `all`: the producer is
//!   idempotent. A record that is not delivered in 10 s fails.
//!
//! [`KnownBrokers`]: kafka_runtime::KnownBrokers

mod client_context;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use kafka_runtime::KafkaSettings;
use kafka_runtime::client::{BrokerHealth, create};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use shared_events::Topic;

use self::client_context::{BulkContext, Deliveries, bulk_config};
use crate::ClusterError;

/// Maximum number of records without a delivery report. With 1 KB each they take 20 MB. With
/// 100 000 the producer is slower, since the records exceed the processor's caches.
pub const MAX_IN_FLIGHT: u64 = 20_000;

/// The delay between two polls. A wait inside librdkafka would spin for part of a millisecond.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// How long the delivery reports of purged records may take.
const PURGED_WITHIN: Duration = Duration::from_secs(1);

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// No compression.
    None,
    /// Smaller than all but zstd, and slow.
    Gzip,
    /// Fast.
    Snappy,
    /// As fast as snappy, and a little smaller.
    Lz4,
    /// The smallest.
    Zstd,
}

/// `acks`: the replicas that must have a record before the broker acknowledges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Acks {
    /// All in-sync replicas. Only with this value a retry cannot duplicate a record.
    All,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// None: a record counts as acknowledged once it is sent.
    #[value(name = "0")]
    None,
}

/// The producer settings of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkSettings {
    /// `compression.type`.
    pub compression: Compression,
    /// `linger.ms`: how long a batch waits for more records, milliseconds.
    pub linger_ms: u32,
    /// `batch.size`: maximum size of a batch before compression, bytes.
    pub batch_bytes: u32,
    /// `acks`.
    pub acks: Acks,
}

/// A record for the topic of the producer.
#[derive(Debug, Clone, Copy)]
pub struct BulkRecord<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The headers, in order.
    pub headers: &'a [(&'a str, String)],
    /// The partition. Default: that of the key, by murmur2.
    pub partition: Option<i32>,
    /// Identifies the record in its delivery report.
    pub tag: usize,
}

/// The outcome of a record.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryReport<'e> {
    /// The tag of the record.
    pub tag: usize,
    /// The partition, or why the record was not delivered.
    pub outcome: Result<i32, &'e KafkaError>,
}

/// The record was not accepted: [`MAX_IN_FLIGHT`] records have no delivery report yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// A producer of many records. Dropping it discards the records without a delivery report.
pub struct BulkProducer {
    /// Locked exclusively only while the client is replaced.
    producer: RwLock<BaseProducer<BulkContext>>,
    config: ClientConfig,
    deliveries: Arc<Deliveries>,
    topic: String,
    sent: AtomicU64,
}

impl BulkProducer {
    /// A producer for this topic. `on_delivery` is called with each delivery report. No broker is
    /// needed yet: records wait for one.
    ///
    /// # Errors
    /// A setting is invalid for librdkafka.
    pub fn new(
        kafka: &KafkaSettings,
        client_id: &str,
        topic: Topic,
        settings: &BulkSettings,
        health: BrokerHealth,
        on_delivery: impl Fn(DeliveryReport<'_>) + Send + Sync + 'static,
    ) -> Result<Self, ClusterError> {
        let deliveries = Deliveries::new(health, settings.acks == Acks::All, on_delivery);
        let config = bulk_config(kafka, client_id, settings);
        Self::with_config(config, kafka.name_prefix.topic(topic), deliveries)
    }

    fn with_config(
        config: ClientConfig,
        topic: String,
        deliveries: Deliveries,
    ) -> Result<Self, ClusterError> {
        let deliveries = Arc::new(deliveries);
        let producer = create(&config, BulkContext::new(&deliveries))
            .map_err(|cause| ClusterError::failed("create a producer", cause))?;
        Ok(Self {
            producer: RwLock::new(producer),
            config,
            deliveries,
            topic,
            sent: AtomicU64::new(0),
        })
    }

    /// The topic's name on the broker.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Waits until the first record can be sent without a delay: a broker is reached, and an
    /// idempotent producer has its producer id, which librdkafka requests half a second after the
    /// start. Returns `false` after `within`. Blocks.
    pub fn wait_until_ready(&self, within: Duration) -> bool {
        self.wait_until(within, || self.deliveries.ready.load(Relaxed))
    }

    /// Sends a record. Its bytes are copied. If librdkafka rejects the record, its delivery report
    /// comes before this returns.
    ///
    /// # Errors
    /// The record was not accepted. Poll, and send it again.
    pub fn send(&self, record: &BulkRecord<'_>) -> Result<(), QueueFull> {
        if !self.has_capacity() {
            return Err(QueueFull);
        }
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        let headers = record.headers.iter().fold(headers, |all, (key, value)| {
            all.insert(Header {
                key,
                value: Some(value),
            })
        });
        let mut base = BaseRecord::with_opaque_to(&self.topic, record.tag)
            .key(record.key)
            .payload(record.value)
            .headers(headers);
        base.partition = record.partition;
        // Before the delivery report, so that the reported records never exceed the sent ones.
        self.sent.fetch_add(1, SeqCst);
        if let Err((error, _)) = self.producer().send(base) {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                self.sent.fetch_sub(1, SeqCst);
                return Err(QueueFull);
            }
            self.deliveries.report(record.tag, Err(&error));
        }
        Ok(())
    }

    /// Calls `on_delivery` with the delivery reports that are available, and handles the other
    /// events of the client. Call it regularly, also while nothing is sent: otherwise a lost or
    /// returned broker is not noticed. It does not wait, except to replace the client.
    pub fn poll(&self) {
        loop {
            let before = self.reported();
            self.producer().poll(Duration::ZERO);
            if self.reported() == before {
                break;
            }
        }
        if self.producer().context().brokers.are_lost() {
            self.replace_client();
        }
    }

    /// Polls until `deadline`, or until `done` returns `true`. Blocks.
    pub fn poll_until(&self, deadline: Instant, done: impl Fn() -> bool) {
        loop {
            self.poll();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || done() {
                return;
            }
            // With nothing in flight there is no delivery report to wait for.
            let delay = if self.in_flight() == 0 {
                left
            } else {
                left.min(POLL_INTERVAL)
            };
            std::thread::sleep(delay);
        }
    }

    /// Whether [`BulkProducer::send`] would accept a record.
    pub fn has_capacity(&self) -> bool {
        self.in_flight() < MAX_IN_FLIGHT
    }

    /// The number of records without a delivery report.
    pub fn in_flight(&self) -> u64 {
        // Read first, so that it cannot exceed the number of sent records.
        let reported = self.reported();
        self.sent.load(SeqCst).saturating_sub(reported)
    }

    /// Waits at most `within` for delivery reports, then purges the records without one, which
    /// fail. Blocks.
    pub fn flush_or_purge(&self, within: Duration) {
        if !self.wait_until(within, || self.in_flight() == 0) {
            self.producer()
                .purge(PurgeConfig::default().queue().inflight());
            self.wait_until(PURGED_WITHIN, || self.in_flight() == 0);
        }
    }

    /// Replaces the client by a new one, which connects to the bootstrap addresses.
    fn replace_client(&self) {
        let mut producer = self
            .producer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Another thread may have replaced it meanwhile.
        if !producer.context().brokers.are_lost() {
            return;
        }
        match create(&self.config, BulkContext::new(&self.deliveries)) {
            Ok(new) => {
                let old = std::mem::replace(&mut *producer, new);
                // Outside the lock, so that other threads can send: dropping the old client fails
                // its records in flight and calls `on_delivery` for each.
                drop(producer);
                drop(old);
                tracing::warn!("producer replaced: it had lost every broker");
            }
            Err(cause) => {
                producer.context().brokers.reset();
                tracing::error!(%cause, "the producer has lost every broker and cannot be replaced");
            }
        }
    }

    fn producer(&self) -> RwLockReadGuard<'_, BaseProducer<BulkContext>> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, within: Duration, done: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + within;
        while !done() && Instant::now() < deadline {
            self.poll();
            if !done() {
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        done()
    }

    fn reported(&self) -> u64 {
        self.deliveries.reported.load(SeqCst)
    }
}
