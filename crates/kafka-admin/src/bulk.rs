//! Many records into one topic, as fast as they are acknowledged: what a load generator needs, and no service uses.
//!
//! * **Every record has one receipt**: delivered, with its partition, or failed. Receipts are told to whoever calls
//!   [`Bulk::take_receipts`], on his thread. So a sender takes them itself, between records: what a record took of memory is then
//!   given back by the thread that took it (measured: a third less processor time a record than with a thread for receipts).
//! * **Memory is bounded**: at most [`MOST_IN_FLIGHT`] records are without a receipt. Beyond that [`Bulk::send`] says [`Full`].
//! * **A client that has lost every broker is replaced** (see `stray`); what it had on its way has failed.
//! * **Retried records are neither doubled nor reordered** while `acks` is `all` (idempotent producer). A record that cannot be
//!   delivered within 10 s fails.

mod client;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use shared_events::Topic;

use self::client::{Client, Receipts, bulk_config};
use kafka_runtime::client::{Connection, create};
use crate::ClusterError;
use kafka_runtime::KafkaSettings;

/// Most records without a receipt: with a kilobyte each, 20 MB. More of them only wait (measured: 100 000 are slower, since
/// they fit into no cache).
pub const MOST_IN_FLIGHT: u64 = 20_000;

/// Between two looks for receipts. A wait of librdkafka's own would spin for the last part of a millisecond.
const NAP: Duration = Duration::from_micros(200);

/// How long the receipts of records that were given up may take.
const PURGED_WITHIN: Duration = Duration::from_secs(1);

/// How batches are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// Smallest but for zstd, and slow.
    Gzip,
    /// Fast.
    Snappy,
    /// As fast, a little smaller.
    Lz4,
    /// Smallest.
    Zstd,
}

/// Who must have a record before it counts as acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Acks {
    /// Every replica that is in sync; the only one with which a retry cannot double a record.
    All,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// Nobody: a record counts as acknowledged when it is sent.
    #[value(name = "0")]
    Nobody,
}

/// How a load is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkSettings {
    /// `compression.type`.
    pub compression: Compression,
    /// `linger.ms`: how long a batch waits to become larger.
    pub linger_ms: u32,
    /// `batch.size`: most bytes of a batch, before compression.
    pub batch_bytes: u32,
    /// `acks`.
    pub acks: Acks,
}

/// A record for the topic of the load.
#[derive(Debug, Clone, Copy)]
pub struct BulkRecord<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Its headers.
    pub headers: &'a [(&'a str, String)],
    /// Which partition, if not the one that murmur2 chooses for the key.
    pub partition: Option<i32>,
    /// What its receipt will be known by.
    pub tag: usize,
}

/// What became of a record.
#[derive(Debug, Clone, Copy)]
pub struct Receipt<'e> {
    /// The record's tag.
    pub tag: usize,
    /// Its partition, or why it could not be delivered.
    pub outcome: Result<i32, &'e KafkaError>,
}

/// There are [`MOST_IN_FLIGHT`] records without a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A producer of many records. Dropped, it gives up what has no receipt yet.
pub struct Bulk {
    // Locked for others only while it is replaced.
    producer: RwLock<BaseProducer<Client>>,
    config: ClientConfig,
    receipts: Arc<Receipts>,
    topic: String,
    handed: AtomicU64,
}

impl Bulk {
    /// A producer for this topic, whose receipts go to `told`. Needs no broker: records wait for one, as long as they may.
    pub fn new(
        kafka: &KafkaSettings,
        client_id: &str,
        topic: Topic,
        settings: &BulkSettings,
        connection: Connection,
        told: impl Fn(Receipt<'_>) + Send + Sync + 'static,
    ) -> Result<Self, ClusterError> {
        let receipts = Receipts::new(connection, settings.acks == Acks::All, told);
        let config = bulk_config(kafka, client_id, settings);
        Self::with(config, kafka.name_prefix.topic(topic), receipts)
    }

    fn with(config: ClientConfig, topic: String, receipts: Receipts) -> Result<Self, ClusterError> {
        let receipts = Arc::new(receipts);
        let producer = create(&config, Client::new(&receipts))
            .map_err(|cause| ClusterError::refused("make a producer", cause))?;
        Ok(Self {
            producer: RwLock::new(producer),
            config,
            receipts,
            topic,
            handed: AtomicU64::new(0),
        })
    }

    /// The topic's name on the broker.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Waits until the first record need not wait: the broker is reached, and an idempotent producer has its id, for which it
    /// asks half a second after its start. Says whether that came `within`. Blocks.
    pub fn wait_until_ready(&self, within: Duration) -> bool {
        self.wait_until(within, || self.receipts.ready.load(Relaxed))
    }

    /// Hands a record over. Its bytes are copied. What librdkafka refuses at once has its receipt at once.
    pub fn send(&self, record: &BulkRecord<'_>) -> Result<(), Full> {
        if !self.has_room() {
            return Err(Full);
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
        // Before its receipt, so that never more are settled than were handed over.
        self.handed.fetch_add(1, SeqCst);
        if let Err((error, _)) = self.producer().send(base) {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                self.handed.fetch_sub(1, SeqCst);
                return Err(Full);
            }
            self.receipts.tell(record.tag, Err(&error));
        }
        Ok(())
    }

    /// Tells the receipts that are there, and whatever else the client has to say. Somebody has to call it now and then, also
    /// while nothing is sent: else nobody learns that a broker is gone, or is back. Does not wait, unless the client has to be replaced.
    pub fn take_receipts(&self) {
        loop {
            let before = self.settled();
            self.producer().poll(Duration::ZERO);
            if self.settled() == before {
                break;
            }
        }
        if self.producer().context().brokers.are_lost() {
            self.renew();
        }
    }

    /// Tells the receipts that are there and that come until this moment, or until `done` says so. Blocks.
    pub fn take_receipts_until(&self, moment: Instant, done: impl Fn() -> bool) {
        loop {
            self.take_receipts();
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() || done() {
                return;
            }
            // With nothing on its way, nothing comes that is urgent.
            let nap = if self.in_flight() == 0 {
                left
            } else {
                left.min(NAP)
            };
            std::thread::sleep(nap);
        }
    }

    /// Whether a record would be taken now.
    pub fn has_room(&self) -> bool {
        self.in_flight() < MOST_IN_FLIGHT
    }

    /// Records without a receipt.
    pub fn in_flight(&self) -> u64 {
        // Settled first: it never overtakes what was handed over before it was read.
        let settled = self.settled();
        self.handed.load(SeqCst).saturating_sub(settled)
    }

    /// Ends: waits at most `within` for receipts, then gives up what has none, which fails. Blocks.
    pub fn finish(&self, within: Duration) {
        if !self.wait_until(within, || self.in_flight() == 0) {
            self.producer()
                .purge(PurgeConfig::default().queue().inflight());
            self.wait_until(PURGED_WITHIN, || self.in_flight() == 0);
        }
    }

    /// Takes another client, which begins with the addresses it is told. The old one delivers nothing any more.
    fn renew(&self) {
        let mut producer = self
            .producer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        if !producer.context().brokers.are_lost() {
            return;
        }
        match create(&self.config, Client::new(&self.receipts)) {
            Ok(new) => {
                let old = std::mem::replace(&mut *producer, new);
                // Nobody else waits while the old one ends, which gives up what it had on its way and tells so.
                drop(producer);
                drop(old);
                tracing::warn!("the producer had lost every broker: it is replaced");
            }
            Err(cause) => {
                producer.context().brokers.wait_again();
                tracing::error!(%cause, "the producer has lost every broker, and there is no other");
            }
        }
    }

    fn producer(&self) -> RwLockReadGuard<'_, BaseProducer<Client>> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, within: Duration, done: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + within;
        while !done() && Instant::now() < deadline {
            self.take_receipts();
            if !done() {
                std::thread::sleep(NAP);
            }
        }
        done()
    }

    fn settled(&self) -> u64 {
        self.receipts.settled.load(SeqCst)
    }
}
