//! How the clients of tools and tests are made. None of them may disturb the services they look at.
#![allow(
    clippy::disallowed_methods,
    reason = "the clients of tools and tests are made here and nowhere else"
)]

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureProducer;
use rdkafka::types::RDKafkaErrorCode;

use crate::TIMEOUT;
use crate::records::Isolation;
use kafka_runtime::KafkaSettings;

/// Bytes a producer may send in one record: above every topic's limit, so that the topic's limit decides and not the client's.
const MAX_RECORD_BYTES: &str = "2097152";

fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("client.id", "sandbox")
        // A name that resolves to ::1 first would cost a refused connection each time: the broker listens on IPv4.
        .set("broker.address.family", "v4")
        // A topic made a moment ago by another client is otherwise unknown here for five minutes.
        .set("topic.metadata.refresh.interval.ms", "5000");
    config
}

/// Creates, deletes and describes.
pub(super) fn admin(settings: &KafkaSettings) -> KafkaResult<AdminClient<DefaultClientContext>> {
    base(settings).create()
}

/// Asks for metadata, watermarks and groups, and for the committed offsets of the one group it is made for. It never polls:
/// such a question to a consumer that also fetches waits behind its fetches.
pub(super) fn observer(settings: &KafkaSettings, group: Option<&str>) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", group.unwrap_or("sandbox-observer"))
        .set("enable.auto.commit", "false")
        // read_uncommitted: the high watermark as Kafka's own tool shows it, and no wait for transactions that are open.
        .set("isolation.level", "read_uncommitted")
        .create()
}

/// Reads one topic after the other, from where it is told, without a group: the group id is only there because librdkafka
/// demands one.
pub(super) fn reader(settings: &KafkaSettings, isolation: Isolation) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", format!("sandbox-reader-{}", fastrand::u64(..)))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", isolation.name())
        .set("enable.partition.eof", "true")
        // The end of a topic is told after the broker has waited this long for more: a tool does not want more.
        .set("fetch.wait.max.ms", "10")
        .set("fetch.message.max.bytes", MAX_RECORD_BYTES)
        .create()
}

/// Reads one topic and goes on reading what comes, without a group. Its ends are told, and a topic that is deleted is noticed
/// within seconds: librdkafka would hope for 30 s that it is only on its way.
pub(super) fn tail(settings: &KafkaSettings, isolation: Isolation) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", format!("sandbox-tail-{}", fastrand::u64(..)))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", isolation.name())
        .set("enable.partition.eof", "true")
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "16384")
        .create()
}

/// Reads what comes into a topic, without a group: the group id is only there because librdkafka demands one. A fetch waits at
/// the broker, which answers it as soon as there is something: that costs neither side much, and no time.
pub(super) fn follower(settings: &KafkaSettings) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set(
            "group.id",
            format!("sandbox-follower-{}", fastrand::u64(..)),
        )
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", Isolation::ReadCommitted.name())
        .set("queued.max.messages.kbytes", "16384")
        .create()
}

/// Reads as fast as can be, with the buffers of a service's member: what it is compared with is one.
pub(super) fn skimmer(settings: &KafkaSettings) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", format!("sandbox-skimmer-{}", fastrand::u64(..)))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", Isolation::ReadCommitted.name())
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "50")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", "16384")
        .set("check.crcs", "true")
        .create()
}

/// Publishes whatever it is given, once each. Uncompressed, so that a record meant to be just at a topic's limit is.
pub(super) fn publisher(settings: &KafkaSettings) -> KafkaResult<FutureProducer> {
    producer(settings).set("compression.type", "none").create()
}

/// Publishes in transactions. Making it work fences every other producer of this transactional id.
pub(crate) fn transactional(
    settings: &KafkaSettings,
    transactional_id: &str,
) -> KafkaResult<FutureProducer> {
    producer(settings)
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", "5000")
        .create()
}

/// Asks for, and holds the metadata of, the group whose position is committed in transactions. `read_committed`, so that it
/// waits for a predecessor's transaction to end instead of overlooking it.
pub(crate) fn position(settings: &KafkaSettings, group: &str) -> KafkaResult<BaseConsumer> {
    base(settings)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()
}

fn producer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("enable.idempotence", "true")
        // The partition that Java's tools would choose for the key.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "0")
        .set("message.max.bytes", MAX_RECORD_BYTES);
    config
}

/// Between two tries of a question that the broker cannot answer yet.
const NAP: Duration = Duration::from_millis(50);

/// Where a partition begins and ends. Blocks.
pub(super) fn watermarks(
    handle: &BaseConsumer,
    topic: &str,
    partition: i32,
) -> KafkaResult<(i64, i64)> {
    patiently(|| handle.fetch_watermarks(topic, partition, TIMEOUT))
}

/// Asks again while the broker says that it cannot answer *yet*: for a moment after a topic was made or a broker was started,
/// metadata names a leader or a coordinator that does not know of it (measured: 1–3 s). Blocks, bounded by [`TIMEOUT`].
pub(super) fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask() {
            Err(error) if Instant::now() < deadline && is_not_yet(error.rdkafka_error_code()) => {
                std::thread::sleep(NAP)
            }
            answer => return answer,
        }
    }
}

fn is_not_yet(code: Option<RDKafkaErrorCode>) -> bool {
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
