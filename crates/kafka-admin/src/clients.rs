//! The settings of the Kafka clients in this crate. No client disturbs the services: none joins a
//! group.
#![allow(
    clippy::disallowed_methods,
    reason = "the clients of tools and tests are created here and nowhere else"
)]

use std::time::{Duration, Instant};

use kafka_runtime::KafkaSettings;
use kafka_runtime::client::ClientLog;
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;

use crate::cluster::TIMEOUT;
use crate::records::Isolation;

/// `message.max.bytes`, uncompressed: above the limit of every topic, so that the limit of the topic
/// applies.
pub(crate) const MAX_RECORD_BYTES: usize = 2_097_152;

// The clients of this crate. An operation that fails returns its error, so librdkafka's log of each
// attempt is not repeated: see [`ClientLog`].
pub(crate) type AdminClient = rdkafka::admin::AdminClient<ClientLog>;
pub(crate) type BaseConsumer = rdkafka::consumer::BaseConsumer<ClientLog>;
pub(crate) type FutureProducer = rdkafka::producer::FutureProducer<ClientLog>;

fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("client.id", "sandbox")
        // The broker listens on IPv4. A name that resolves to ::1 first would cost a refused
        // connection each time.
        .set("broker.address.family", "v4")
        // With the default, a topic that another client has just created is unknown for 5 minutes.
        .set("topic.metadata.refresh.interval.ms", "5000");
    config
}

/// A consumer that commits nothing. librdkafka requires a group id; the consumer joins no group.
fn consumer(settings: &KafkaSettings, purpose: &str, isolation: Isolation) -> ClientConfig {
    let mut config = base(settings);
    config
        .set(
            "group.id",
            format!("sandbox-{purpose}-{}", fastrand::u64(..)),
        )
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // With the default a reader whose next record was deleted would jump to the end in silence.
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation.name());
    config
}

/// Creates, deletes and describes topics and groups.
pub(crate) fn admin(settings: &KafkaSettings) -> KafkaResult<AdminClient> {
    base(settings).create_with_context(ClientLog)
}

/// Asks for metadata, watermarks, and the committed offsets of one group. It never fetches: such a
/// request waits behind the fetches of its client.
pub(crate) fn metadata(settings: &KafkaSettings, group: Option<&str>) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", group.unwrap_or("sandbox-observer"))
        .set("enable.auto.commit", "false")
        // The high watermark as Kafka's tools show it. With read_committed, a request for committed
        // offsets also waits for open transactions.
        .set("isolation.level", "read_uncommitted")
        .create_with_context(ClientLog)
}

/// Reads one topic after another up to its end.
pub(crate) fn reader(settings: &KafkaSettings, isolation: Isolation) -> KafkaResult<BaseConsumer> {
    consumer(settings, "reader", isolation)
        .set("enable.partition.eof", "true")
        // At the end of a partition the broker waits this long for more records.
        .set("fetch.wait.max.ms", "10")
        // Of each partition and fetch, compressed. A larger record is returned all the same (KIP-74). With 2 MB, three topics that are
        // read at the same time take 279 MB: they are several times as large when they are decompressed.
        .set("fetch.message.max.bytes", "262144")
        // A small queue of unread records: with the defaults, 100 000 records and 64 MB, a reading of
        // 200 000 orders takes 211 MB. When the queue was full, the default waits a second before
        // the next fetch.
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.queue.backoff.ms", "10")
        .create_with_context(ClientLog)
}

/// Reads one topic up to its end and then new records.
pub(crate) fn tail(settings: &KafkaSettings, isolation: Isolation) -> KafkaResult<BaseConsumer> {
    consumer(settings, "tail", isolation)
        .set("enable.partition.eof", "true")
        // A deleted topic is reported within seconds; librdkafka's default is 30 s.
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "16384")
        .create_with_context(ClientLog)
}

/// Reads new committed records. A fetch waits at the broker, which answers as soon as there is a
/// record, so the default of `fetch.wait.max.ms` adds no delay.
pub(crate) fn tail_new(settings: &KafkaSettings) -> KafkaResult<BaseConsumer> {
    consumer(settings, "tail-new", Isolation::ReadCommitted)
        .set("queued.max.messages.kbytes", "16384")
        .create_with_context(ClientLog)
}

/// Reads as fast as possible, with the fetch settings of a service's member, since a member is
/// compared with it.
pub(crate) fn read_benchmark(settings: &KafkaSettings) -> KafkaResult<BaseConsumer> {
    consumer(settings, "read-benchmark", Isolation::ReadCommitted)
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "50")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", "16384")
        .set("check.crcs", "true")
        .create_with_context(ClientLog)
}

/// Publishes any record. Without compression, so that a record can be just below the limit of a
/// topic.
pub(crate) fn publisher(settings: &KafkaSettings) -> KafkaResult<FutureProducer> {
    producer(settings)
        .set("compression.type", "none")
        .create_with_context(ClientLog)
}

/// Publishes in transactions. `init_transactions` fences every other producer with this
/// transactional id. `batch_bytes` bounds a record batch of several records, which the broker
/// compares with the topic's `max.message.bytes` as a whole.
pub(crate) fn transactional(
    settings: &KafkaSettings,
    transactional_id: &str,
    batch_bytes: usize,
) -> KafkaResult<FutureProducer> {
    producer(settings)
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", "5000")
        .set("batch.size", batch_bytes.to_string())
        // When a record is refused, requests in flight behind it would be retried and not dropped.
        // The abort would wait for them until the broker ends the transaction.
        .set("max.in.flight.requests.per.connection", "1")
        .create_with_context(ClientLog)
}

/// Leaves a transaction open on purpose, for this time at most.
pub(crate) fn held_transaction(
    settings: &KafkaSettings,
    transactional_id: &str,
    timeout: Duration,
) -> KafkaResult<FutureProducer> {
    producer(settings)
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", timeout.as_millis().to_string())
        .create_with_context(ClientLog)
}

/// Joins a group of the shop, on purpose. It commits nothing. The assignor must be that of the
/// members, else the broker refuses it.
pub(crate) fn member(settings: &KafkaSettings, group: &str) -> KafkaResult<BaseConsumer> {
    base(settings)
        // The name of another program: by its client id a person finds out that it is no service.
        .set("client.id", "reporting")
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "6000")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .create_with_context(ClientLog)
}

/// Reads the committed offsets of a group that commits in transactions. With `read_committed` the
/// request waits until an open transaction of a predecessor has ended; without it the offsets of
/// that transaction would be missed.
pub(crate) fn committed_position(
    settings: &KafkaSettings,
    group: &str,
) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create_with_context(ClientLog)
}

fn producer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("enable.idempotence", "true")
        // The partition that Java's clients choose for the key.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "0")
        .set("message.max.bytes", MAX_RECORD_BYTES.to_string());
    config
}

/// The delay between two attempts of [`retry_until_ready`].
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The low and high watermark of a partition. Blocks. With a `read_committed` client the second is
/// the last stable offset.
pub(crate) fn watermarks(
    client: &BaseConsumer,
    topic: &str,
    partition: i32,
) -> KafkaResult<(i64, i64)> {
    retry_until_ready(|| client.fetch_watermarks(topic, partition, TIMEOUT))
}

/// Repeats a request while the broker answers that it is not ready: after a topic was created or a
/// broker was started, the leader or coordinator in the metadata does not know of it yet (measured:
/// 1–3 s). Blocks for at most [`TIMEOUT`] and one request.
pub(crate) fn retry_until_ready<T>(request: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match request() {
            Err(error) if Instant::now() < deadline && is_not_ready(error.rdkafka_error_code()) => {
                std::thread::sleep(RETRY_DELAY)
            }
            answer => return answer,
        }
    }
}

fn is_not_ready(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
        )
    )
}
