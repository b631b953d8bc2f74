//! What librdkafka tells of a load: receipts, and whether a broker is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;

use super::{Acks, BulkSettings, Compression, MOST_IN_FLIGHT, Receipt};
use kafka_runtime::KafkaSettings;
use kafka_runtime::client::{Connection, producer_config};
use kafka_runtime::stray::KnownBrokers;

/// What is told of the records, by whichever client had them.
pub(super) struct Receipts {
    connection: Connection,
    told: Box<dyn Fn(Receipt<'_>) + Send + Sync>,
    idempotent: bool,
    pub(super) ready: AtomicBool,
    pub(super) settled: AtomicU64,
}

impl Receipts {
    pub(super) fn new(
        connection: Connection,
        idempotent: bool,
        told: impl Fn(Receipt<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            connection,
            told: Box::new(told),
            idempotent,
            ready: AtomicBool::new(false),
            settled: AtomicU64::new(0),
        }
    }

    pub(super) fn tell(&self, tag: usize, outcome: Result<i32, &KafkaError>) {
        (self.told)(Receipt { tag, outcome });
        // After it was told: who sees that all are settled has been told them all.
        self.settled.fetch_add(1, SeqCst);
    }
}

/// One client, and what it tells.
pub(super) struct Client {
    receipts: Arc<Receipts>,
    pub(super) brokers: KnownBrokers,
}

impl Client {
    pub(super) fn new(receipts: &Arc<Receipts>) -> Self {
        Self {
            receipts: Arc::clone(receipts),
            brokers: KnownBrokers::default(),
        }
    }
}

impl ClientContext for Client {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.receipts.connection.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.receipts.connection.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let Receipts {
            connection,
            idempotent,
            ready,
            ..
        } = &*self.receipts;
        self.brokers.take(&statistics);
        let eos = statistics.eos.as_ref();
        let has_id = eos.is_some_and(|eos| eos.idemp_state == "Assigned");
        connection.stats(statistics);
        if has_id || (!idempotent && connection.is_reached()) {
            ready.store(true, Relaxed);
        }
    }
}

impl ProducerContext for Client {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        match result {
            Ok(message) => {
                self.receipts.connection.reached();
                self.receipts.tell(tag, Ok(message.partition()));
            }
            Err((error, _)) => self.receipts.tell(tag, Err(error)),
        }
    }
}

/// The settings of a producer of loads.
pub(super) fn bulk_config(
    kafka: &KafkaSettings,
    client_id: &str,
    load: &BulkSettings,
) -> ClientConfig {
    let (acks, idempotent) = match load.acks {
        Acks::All => ("all", "true"),
        // librdkafka refuses idempotence without the acknowledgement of all.
        Acks::Leader => ("1", "false"),
        Acks::Nobody => ("0", "false"),
    };
    let compression = match load.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let mut config = producer_config(kafka, client_id, load.linger_ms);
    config
        .set("acks", acks)
        .set("enable.idempotence", idempotent)
        .set("compression.type", compression)
        .set("batch.size", load.batch_bytes.to_string())
        // The bound is ours (see `bulk`), and lower, so that a sender is told at once and woken in time.
        .set(
            "queue.buffering.max.messages",
            (2 * MOST_IN_FLIGHT).to_string(),
        )
        .set("queue.buffering.max.kbytes", "262144")
        // A load that no broker takes is known to have failed soon.
        .set("delivery.timeout.ms", "10000")
        // They say when the producer is ready, for which somebody waits.
        .set("statistics.interval.ms", "200");
    config
}
