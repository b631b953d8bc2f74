//! Every librdkafka setting that is not a default, with its reason. All Kafka clients of the shop are created here.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::FutureProducer;
use rdkafka::types::RDKafkaErrorCode;
use shared_events::Service;
use uuid::Uuid;

pub use crate::broker_health::{BrokerHealth, Criticality};
pub use crate::client_log::ClientLog;
pub use crate::metrics::client_metrics::ClientKind;
use crate::metrics::client_metrics::STATISTICS_INTERVAL;
use crate::settings::{ConsumerSettings, ConsumerTuning, KafkaSettings};

/// How long a transaction may stay open. Below the session time-out: a dead member's partitions are also blocked until its
/// transaction is aborted (measured: 11 s with 10 s, 5.2 s with 5 s).
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest record that a producer sends, uncompressed bytes: the limit of the dead-letter topics (2 MiB) less what a record set
/// adds. So only the producer refuses a dead letter that is too large, and at once. librdkafka's default (1 000 000) is below
/// the broker's (1 048 588): a poison record near the limit would block its partition for ever.
const MESSAGE_MAX_BYTES: &str = "2000000";

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

fn base(kafka: &KafkaSettings, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", client_id)
        // localhost resolves to ::1 first, and our brokers listen on IPv4 only.
        .set("broker.address.family", "v4")
        // With the default a new topic or partition would go unnoticed for five minutes.
        .set("topic.metadata.refresh.interval.ms", "5000")
        // With the default the client would reconnect up to ten seconds after an outage.
        .set("reconnect.backoff.max.ms", "1000")
        .set("statistics.interval.ms", millis(STATISTICS_INTERVAL))
        .set("allow.auto.create.topics", "false")
        .set("log.connection.close", "false");
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// The settings of a member of the service's consumer group.
pub(crate) fn consumer_config(
    service: Service,
    kafka: &KafkaSettings,
    consumer: &ConsumerSettings,
    tuning: &ConsumerTuning,
) -> ClientConfig {
    let mut config = base(kafka, &client_id(service, kafka));
    config
        .set("group.id", kafka.name_prefix.group(service))
        // The consumer loop commits offsets together with the outputs of a batch, never by a timer.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("max.poll.interval.ms", "60000")
        // After a seek the next record waits for the fetch under way (measured: 15 ms, against 466 ms with the default 500).
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "50")
        .set("queued.min.messages", "100000")
        // The default of 64 MB a partition could fill a small container.
        .set("queued.max.messages.kbytes", "16384")
        // Otherwise a record that is damaged on disk is delivered as a valid one.
        .set("check.crcs", "true");
    // With the protocol `consumer` librdkafka refuses these three. The broker has the two times then, with the same values
    // (`group.consumer.*`).
    if !tuning.uses_consumer_protocol() {
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            // The broker's minimum. A dead member's partitions are blocked for this long.
            .set("session.timeout.ms", "6000")
            // A cooperative rebalance takes two heartbeats (measured: 2.4 s, against 6.4 s with the default 3000).
            .set("heartbeat.interval.ms", "1000");
    }
    if let (true, Some(slot)) = (consumer.static_membership, kafka.slot) {
        config.set(
            "group.instance.id",
            kafka.name_prefix.name(&format!("{service}-{slot}")),
        );
    }
    for (name, value) in tuning.iter() {
        config.set(name, value);
    }
    config
}

/// The settings of a client that reads a partition without joining a group.
pub(crate) fn probe_config(kafka: &KafkaSettings) -> ClientConfig {
    let mut config = base(kafka, "probe");
    config
        // librdkafka requires one, also of a client that never joins or commits.
        .set("group.id", format!("probe-{}", Uuid::new_v4()))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true");
    config
}

/// The settings of a client that reads all of `sandbox.controls` without joining a group.
pub(crate) fn controls_config(service: Service, kafka: &KafkaSettings) -> ClientConfig {
    let mut config = base(kafka, &client_id(service, kafka));
    config
        .set("group.id", format!("controls-{}", Uuid::new_v4()))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // The end of the partition is how the reader knows that it has read everything.
        .set("enable.partition.eof", "true")
        // The reader asks for the topic only when the broker has it, so an unknown topic is deleted and not new (default: 30 s).
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("check.crcs", "true");
    config
}

/// The settings of an idempotent producer: librdkafka's retries neither duplicate nor reorder records. `linger_ms` is how
/// long it waits to fill a batch.
pub fn producer_config(kafka: &KafkaSettings, client_id: &str, linger_ms: u32) -> ClientConfig {
    let mut config = base(kafka, client_id);
    config
        .set("enable.idempotence", "true")
        // The partitioner of Java's clients, so that both choose the same partition for a key.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", linger_ms.to_string())
        .set("message.max.bytes", MESSAGE_MAX_BYTES);
    config
}

/// A producer without transactions: for the relay (`linger_ms` 1) and for `at-least-once` (0).
pub(crate) fn idempotent_producer(
    kafka: &KafkaSettings,
    client_id: &str,
    linger_ms: u32,
    health: BrokerHealth,
) -> KafkaResult<FutureProducer<BrokerHealth>> {
    let mut config = producer_config(kafka, client_id, linger_ms);
    // Giving up loses nothing: the rows stay in the outbox, and the batch is retried.
    config.set("delivery.timeout.ms", "10000");
    create(&config, health)
}

/// A producer for a batch's outputs and offsets in one transaction. librdkafka limits `delivery.timeout.ms` to the time-out of
/// the transaction.
pub(crate) fn transactional_producer(
    kafka: &KafkaSettings,
    client_id: &str,
    transactional_id: &str,
    health: BrokerHealth,
) -> KafkaResult<FutureProducer<BrokerHealth>> {
    let mut config = producer_config(kafka, client_id, 0);
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", millis(TRANSACTION_TIMEOUT));
    create(&config, health)
}

/// Creates a client with the settings of this module.
///
/// # Errors
/// librdkafka refuses a setting.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the place the rule points to"
)]
pub fn create<T: FromClientConfigAndContext<C>, C: ClientContext>(
    config: &ClientConfig,
    context: C,
) -> KafkaResult<T> {
    config.create_with_context(context)
}

/// The name of this process in the broker's log.
pub(crate) fn client_id(service: Service, kafka: &KafkaSettings) -> String {
    match kafka.slot {
        Some(slot) => format!("{service}-{slot}"),
        None => service.to_string(),
    }
}

/// The transactional id: stable with `SLOT`, else random for each process. A new producer with the same id aborts the open
/// transaction of its predecessor, so all producers of a process use the same id.
pub(crate) fn transactional_id(service: Service, kafka: &KafkaSettings) -> String {
    let instance = match kafka.slot {
        Some(slot) => slot.to_string(),
        None => Uuid::new_v4().to_string(),
    };
    kafka.name_prefix.name(&format!("{service}-{instance}"))
}

/// Whether the error means that the topic or the partition does not exist.
pub fn is_unknown_topic(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}
