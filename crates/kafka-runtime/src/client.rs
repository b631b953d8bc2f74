//! Every librdkafka setting that is not a default, with its reason. The only place where the shop's Kafka clients are made.

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};

use rdkafka::producer::FutureProducer;
use rdkafka::types::RDKafkaErrorCode;
use shared_events::Service;
use uuid::Uuid;

pub use crate::connection::{Connection, Need};
pub use crate::metrics::client::Counted;
use crate::settings::{ConsumerSettings, ConsumerTuning, KafkaSettings};

/// A transaction may stay open this long, milliseconds. Below the session time-out: a dead member's partitions stand still
/// until its transaction is aborted too (measured: 11 s with 10 000, 5.2 s with this).
pub(crate) const TRANSACTION_TIMEOUT_MS: u64 = 5_000;

/// Largest record a producer sends, bytes, unpacked: what the dead-letter topics take (2 MiB) less what a record set adds to it, so that
/// only the producer refuses a letter, and at once. librdkafka's default (1 000 000) is below the broker's (1 048 588): a poison record
/// near the limit would block its partition for ever.
const MESSAGE_MAX_BYTES: &str = "2000000";

fn base(kafka: &KafkaSettings, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", client_id)
        // localhost resolves to ::1 first, where no broker of ours listens.
        .set("broker.address.family", "v4")
        // A grown or late topic would go unnoticed for five minutes.
        .set("topic.metadata.refresh.interval.ms", "5000")
        // After an outage be back within a second, not within ten.
        .set("reconnect.backoff.max.ms", "1000")
        // Whether a broker is reached, and the figures of `metrics::client`.
        .set("statistics.interval.ms", "5000")
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
        // Offsets are settled by us, with the effect, and never by a timer.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        // The broker's minimum: how long a dead member's partitions stand still.
        .set("session.timeout.ms", "6000")
        // A cooperative rebalance takes two heartbeats (measured: 2.4 s, against 6.4 s with the default 3000).
        .set("heartbeat.interval.ms", "1000")
        .set("max.poll.interval.ms", "60000")
        // After a seek the next record waits for the fetch under way (measured: 15 ms, against 466 ms with the default 500).
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "50")
        .set("queued.min.messages", "100000")
        // The default of 64 MB a partition could fill a small container.
        .set("queued.max.messages.kbytes", "16384")
        // Without it a record damaged on disk is handed over as if it were whole.
        .set("check.crcs", "true");
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

/// The settings of a client that looks at a partition without being in a group.
pub(crate) fn probe_config(kafka: &KafkaSettings) -> ClientConfig {
    let mut config = base(kafka, "probe");
    config
        // librdkafka wants one even of a client that never joins or commits.
        .set("group.id", format!("probe-{}", Uuid::new_v4()))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true");
    config
}

/// The settings of a client that reads `sandbox.controls`: from its beginning, for itself alone.
pub(crate) fn controls_config(service: Service, kafka: &KafkaSettings) -> ClientConfig {
    let mut config = base(kafka, &client_id(service, kafka));
    config
        // As above: every member reads all of it.
        .set("group.id", format!("controls-{}", Uuid::new_v4()))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // How the reader knows that it has seen all there was.
        .set("enable.partition.eof", "true")
        // It is asked for only when the broker knows it: when it is gone it is gone, not on its way (default: 30 s of hope).
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("check.crcs", "true");
    config
}

/// The settings of a producer whose records are retried without being doubled or reordered.
pub fn producer_config(kafka: &KafkaSettings, client_id: &str, linger_ms: u32) -> ClientConfig {
    let mut config = base(kafka, client_id);
    config
        .set("enable.idempotence", "true")
        // So that Java's tools agree on the partition of a key.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", linger_ms.to_string())
        .set("message.max.bytes", MESSAGE_MAX_BYTES);
    config
}

/// A producer for what needs no transaction: the relay (`linger_ms` 1–5) and settling at least once (0).
pub(crate) fn idempotent_producer(
    kafka: &KafkaSettings,
    client_id: &str,
    linger_ms: u32,
    connection: Connection,
) -> KafkaResult<FutureProducer<Connection>> {
    let mut config = producer_config(kafka, client_id, linger_ms);
    // Nothing is lost by giving up: the rows stay in the outbox, the records unsettled.
    config.set("delivery.timeout.ms", "10000");
    create(&config, connection)
}

/// A producer that tells a batch's events in one transaction with its offsets. `delivery.timeout.ms` is left to librdkafka,
/// which caps it by the transaction's.
pub(crate) fn transactional_producer(
    kafka: &KafkaSettings,
    client_id: &str,
    transactional_id: &str,
    connection: Connection,
) -> KafkaResult<FutureProducer<Connection>> {
    let mut config = producer_config(kafka, client_id, 0);
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string());
    create(&config, connection)
}

/// Makes a client.
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

/// What the broker's log calls this process.
pub(crate) fn client_id(service: Service, kafka: &KafkaSettings) -> String {
    match kafka.slot {
        Some(slot) => format!("{service}-{slot}"),
        None => service.to_string(),
    }
}

/// The id by which a transaction of a predecessor is found and ended: stable with `SLOT`, else one for this process. It is
/// the same for every producer this process makes, so that a rebuilt one resolves what the last left open.
pub(crate) fn transactional_id(service: Service, kafka: &KafkaSettings) -> String {
    let instance = match kafka.slot {
        Some(slot) => slot.to_string(),
        None => Uuid::new_v4().to_string(),
    };
    kafka.name_prefix.name(&format!("{service}-{instance}"))
}

/// Whether the broker says that there is no such topic any more.
pub fn has_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}
