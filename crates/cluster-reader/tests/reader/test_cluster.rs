//! Topics, records and groups on a real broker, created by plain clients, and a reader.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::Utc;
use cluster_reader::{
    ClusterReader, Group, Lag, LagUndefined, ReadError, ReaderSettings, Snapshot, TopicPartition,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

/// The time limit of a single step on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The timestamp of a test's first record, in milliseconds: an hour ago, since the broker deletes
/// older ones.
pub fn first_timestamp() -> i64 {
    static FIRST: LazyLock<i64> = LazyLock::new(|| Utc::now().timestamp_millis() - 3_600_123);
    *FIRST
}

/// A broker, a prefix for names on it, and a reader.
pub struct TestCluster {
    pub bootstrap: String,
    prefix: String,
    pub reader: ClusterReader,
}

impl TestCluster {
    pub async fn shared(test: &str) -> Self {
        let stack = test_stack::shared().await;
        Self::on(stack.bootstrap(), &stack.unique_prefix(test))
    }

    pub fn on(bootstrap: &str, prefix: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            prefix: prefix.to_owned(),
            reader: reader(bootstrap, PATIENCE),
        }
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn at(&self, topic: &str, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: self.name(topic),
            partition,
        }
    }

    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("broker.address.family", "v4");
        // A consumer that subscribes before its topic is known finds it soon.
        config.set("topic.metadata.refresh.interval.ms", "1000");
        config
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    pub async fn topic(&self, name: &str, partitions: i32) {
        self.topic_with(name, partitions, &[]).await;
    }

    pub async fn topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let name = self.name(name);
        let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let created = self
            .admin()
            .create_topics([&topic], &AdminOptions::new())
            .await;
        created.unwrap().pop().unwrap().unwrap();
        // The broker knows the topic a moment after the controller.
        self.wait_for_partitions(&name, Some(partitions as usize))
            .await;
    }

    /// Waits until the broker knows this number of partitions with a leader, or with `None` no such
    /// topic.
    async fn wait_for_partitions(&self, topic: &str, partitions: Option<usize>) {
        let admin = self.admin();
        test_stack::eventually(PATIENCE, "the broker knows", async || {
            // All topics: the client would cache that a single one is missing.
            let all = admin.inner().fetch_metadata(None, PATIENCE);
            let all = all.map_err(|error| error.to_string())?;
            let found = all.topics().iter().find(|one| one.name() == topic);
            let led = found.map(|one| {
                let led = one.partitions().iter().filter(|one| one.leader() >= 0);
                led.count()
            });
            match led == partitions {
                true => Ok(()),
                false => Err(format!("{led:?} partitions of {topic}")),
            }
        })
        .await;
    }

    pub async fn delete_topic(&self, name: &str) {
        let name = self.name(name);
        let gone = self
            .admin()
            .delete_topics(&[&name], &AdminOptions::new())
            .await;
        gone.unwrap().pop().unwrap().unwrap();
        self.wait_for_partitions(&name, None).await;
    }

    /// Deletes the records before an offset.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        let before = Offset::Offset(before);
        list.add_partition_offset(&self.name(topic), partition, before)
            .unwrap();
        self.admin()
            .delete_records(&list, &AdminOptions::new())
            .await
            .unwrap();
    }

    /// Commits as a client that is no member.
    pub fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let group = self.name(group);
        let consumer: BaseConsumer = self.config().set("group.id", group).create().unwrap();
        self.commit_as(&consumer, topic, partition, offset);
    }

    pub fn commit_as(&self, consumer: &BaseConsumer, topic: &str, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(&self.name(topic), partition, Offset::Offset(offset))
            .unwrap();
        // A broker that has just started loads the committed offsets first.
        let loading = Some(RDKafkaErrorCode::CoordinatorLoadInProgress);
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = consumer.commit(&offsets, CommitMode::Sync) {
            let is_loading = error.rdkafka_error_code() == loading;
            assert!(is_loading && Instant::now() < deadline, "{error}");
        }
    }

    pub async fn member(
        &self,
        group: &str,
        topic: &str,
        settings: &[(&str, &str)],
    ) -> BaseConsumer {
        let mut config = self.config();
        config
            .set("group.id", self.name(group))
            .set("enable.auto.commit", "false");
        config.set("client.id", format!("member-of-{group}"));
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let member: BaseConsumer = config.create().unwrap();
        member.subscribe(&[&self.name(topic)]).unwrap();
        test_stack::eventually(PATIENCE, "a member has partitions", async || {
            let _ = member.poll(Duration::from_millis(50));
            match member.assignment().unwrap().count() {
                0 => Err("none"),
                _ => Ok(()),
            }
        })
        .await;
        member
    }

    /// A producer with these settings. All records sent before a flush are one batch, if they fit.
    pub fn producer(&self, settings: &[(&str, &str)]) -> Sender {
        let mut config = self.config();
        config
            .set("linger.ms", "1000")
            .set("message.max.bytes", "8000000");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        Sender {
            producer: config.create().unwrap(),
            prefix: self.prefix.clone(),
        }
    }

    /// A transactional producer. The timeout is long enough for a slow test with an open transaction.
    pub fn transactional(&self, id: &str) -> Sender {
        let id = self.name(id);
        let sender = self.producer(&[
            ("transactional.id", &id),
            ("transaction.timeout.ms", "600000"),
        ]);
        sender.producer.init_transactions(PATIENCE).unwrap();
        sender
    }

    /// A complete poll. A poll may be incomplete while other tests delete topics of the broker.
    pub async fn snapshot(&mut self) -> Snapshot {
        let complete = async || match self.reader.poll().await {
            Err(error @ ReadError::Incomplete { .. }) => Err(error),
            other => Ok(other.unwrap()),
        };
        test_stack::eventually(PATIENCE, "a poll is complete", complete).await
    }

    /// Waits until every transaction on the topic has its marker, which is written after its producer
    /// got the answer. Polls with another reader, so that the scans of the test's reader do not
    /// advance.
    pub async fn marked(&self, topic: &str) {
        let name = self.name(topic);
        let mut other = Self::on(&self.bootstrap, &self.prefix);
        test_stack::eventually(PATIENCE, "no transaction is open", async || {
            let logs = other.snapshot().await.topics.remove(&name);
            let logs = logs.ok_or_else(|| format!("no topic {name}"))?;
            match logs
                .values()
                .all(|log| log.last_stable == log.high_watermark)
            {
                true => Ok(()),
                false => Err(format!("{logs:?}")),
            }
        })
        .await;
    }

    pub async fn group(&mut self, group: &str) -> Group {
        let name = self.name(group);
        let mut snapshot = self.snapshot().await;
        snapshot
            .groups
            .remove(&name)
            .unwrap_or_else(|| panic!("no group {name}"))
    }

    pub async fn lag(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Lag, LagUndefined> {
        let at = self.at(topic, partition);
        self.group(group).await.partitions[&at].lag
    }
}

pub fn reader(bootstrap: &str, timeout: Duration) -> ClusterReader {
    ClusterReader::new(ReaderSettings {
        bootstrap_servers: bootstrap.to_owned(),
        client_id: "cluster-reader-test".to_owned(),
        timeout,
    })
}

pub struct Sender {
    producer: BaseProducer,
    prefix: String,
}

impl Sender {
    pub fn record(&self, topic: &str, partition: i32, timestamp_ms: i64, value: &[u8]) {
        let topic = format!("{}{topic}", self.prefix);
        let record = BaseRecord::<str, [u8]>::to(&topic)
            .partition(partition)
            .timestamp(timestamp_ms)
            .payload(value);
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .unwrap();
    }

    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Sends this number of records and waits for the acknowledgements.
    pub fn send(&self, topic: &str, partition: i32, count: usize) {
        for _ in 0..count {
            self.record(topic, partition, first_timestamp(), b"value");
        }
        self.flush();
    }

    pub fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub fn commit(&self) {
        self.producer.commit_transaction(PATIENCE).unwrap();
    }

    pub fn abort(&self) {
        self.producer.abort_transaction(PATIENCE).unwrap();
    }

    pub fn committed(&self, topic: &str, partition: i32, count: usize) {
        self.begin();
        self.send(topic, partition, count);
        self.commit();
    }

    pub fn aborted(&self, topic: &str, partition: i32, count: usize) {
        self.begin();
        self.send(topic, partition, count);
        self.abort();
    }
}
