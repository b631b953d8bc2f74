//! The callbacks and the settings of a bulk producer's librdkafka client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use kafka_runtime::client::{BrokerHealth, producer_config};
use kafka_runtime::{KafkaSettings, KnownBrokers};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;

use super::{Acks, BulkSettings, Compression, DeliveryReport, MAX_IN_FLIGHT};

/// What outlives a client that is replaced: the callback, the counter, and the health of the
/// broker.
pub(super) struct Deliveries {
    health: BrokerHealth,
    on_delivery: Box<dyn Fn(DeliveryReport<'_>) + Send + Sync>,
    idempotent: bool,
    pub(super) ready: AtomicBool,
    pub(super) reported: AtomicU64,
}

impl Deliveries {
    pub(super) fn new(
        health: BrokerHealth,
        idempotent: bool,
        on_delivery: impl Fn(DeliveryReport<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            health,
            on_delivery: Box::new(on_delivery),
            idempotent,
            ready: AtomicBool::new(false),
            reported: AtomicU64::new(0),
        }
    }

    pub(super) fn report(&self, tag: usize, outcome: Result<i32, &KafkaError>) {
        (self.on_delivery)(DeliveryReport { tag, outcome });
        // Increment only after the callback has run: once all records are reported, every callback
        // has returned.
        self.reported.fetch_add(1, SeqCst);
    }
}

/// The context of one client.
pub(super) struct BulkContext {
    deliveries: Arc<Deliveries>,
    pub(super) brokers: KnownBrokers,
}

impl BulkContext {
    pub(super) fn new(deliveries: &Arc<Deliveries>) -> Self {
        Self {
            deliveries: Arc::clone(deliveries),
            brokers: KnownBrokers::default(),
        }
    }
}

impl ClientContext for BulkContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.deliveries.health.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.deliveries.health.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let Deliveries {
            health,
            idempotent,
            ready,
            ..
        } = &*self.deliveries;
        self.brokers.update(&statistics);
        let eos = statistics.eos.as_ref();
        let has_producer_id = eos.is_some_and(|eos| eos.idemp_state == "Assigned");
        health.stats(statistics);
        if has_producer_id || (!idempotent && health.is_reached()) {
            ready.store(true, Relaxed);
        }
    }
}

impl ProducerContext for BulkContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        match result {
            Ok(message) => {
                self.deliveries.health.reached();
                self.deliveries.report(tag, Ok(message.partition()));
            }
            Err((error, _)) => self.deliveries.report(tag, Err(error)),
        }
    }
}

/// The librdkafka settings of a bulk producer.
pub(super) fn bulk_config(
    kafka: &KafkaSettings,
    client_id: &str,
    settings: &BulkSettings,
) -> ClientConfig {
    let (acks, idempotent) = match settings.acks {
        Acks::All => ("all", "true"),
        // librdkafka rejects idempotence with other values than `all`.
        Acks::Leader => ("1", "false"),
        Acks::None => ("0", "false"),
    };
    let compression = match settings.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let mut config = producer_config(kafka, client_id, settings.linger_ms);
    config
        .set("acks", acks)
        .set("enable.idempotence", idempotent)
        .set("compression.type", compression)
        .set("batch.size", settings.batch_bytes.to_string())
        // Above our own limit, MAX_IN_FLIGHT, which returns QueueFull without a wait.
        .set(
            "queue.buffering.max.messages",
            (2 * MAX_IN_FLIGHT).to_string(),
        )
        .set("queue.buffering.max.kbytes", "262144")
        // Without a broker the records fail soon.
        .set("delivery.timeout.ms", "10000")
        // `wait_until_ready` waits for statistics.
        .set("statistics.interval.ms", "200");
    config
}
