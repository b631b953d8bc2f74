//! A consumer group on the real broker that no other test uses.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser;
use cluster_reader::{ClusterReader, Group, ReaderSettings};
use kafka_admin::offsets::UncommittedOffsets;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::Record;
use kafka_admin::{Cluster, ClusterError};
use kafka_runtime::database::LockWaits;
use kafka_runtime::{
    Clock, ConsumerSettings, ConsumerTuning, Controls, Criticality, DeliveryMode, Faults,
    KafkaSettings, Member, MemberSettings, Protection, RetrySettings,
};
use prometheus::Registry;
use service_kit::Readiness;
use service_kit::trace::Tracer;
use shared_events::{Decoded, Envelope, NamePrefix, OrderId, Service, Topic};
use test_stack::eventually;

use crate::test_service::TestService;

#[path = "../../../kafka-admin/tests/it/committed.rs"]
mod committed;

pub use committed::committed;

pub const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    consumer: ConsumerSettings,
}

/// Topics and a group with names of their own.
pub struct Harness {
    pub kafka: KafkaSettings,
    pub cluster: Cluster,
    reader: tokio::sync::Mutex<ClusterReader>,
}

/// A running member, with what a test observes of it.
pub struct Running {
    pub member: Member,
    pub controls: Controls,
    pub readiness: Readiness,
    pub registry: Registry,
    pub service: TestService,
}

impl Harness {
    pub async fn new(test: &str, partitions: i32) -> Self {
        let stack = test_stack::shared().await;
        Self::on(stack.bootstrap(), &stack.unique_prefix(test), partitions).await
    }

    /// `partitions` of the topic `orders`, one of every other: an assignor that gives one member all of a topic and the other
    /// all of another would leave a rebalance without the partitions a test watches.
    pub async fn on(bootstrap: &str, prefix: &str, partitions: i32) -> Self {
        let name_prefix: NamePrefix = prefix.parse().unwrap();
        let kafka = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            name_prefix,
            slot: None,
        };
        let cluster = Cluster::new(&kafka).unwrap();
        cluster
            .create_topics(&[Topic::Orders], Some(partitions))
            .await
            .unwrap();
        cluster.create_topics(&Topic::ALL, Some(1)).await.unwrap();
        let reader = ClusterReader::new(ReaderSettings {
            bootstrap_servers: bootstrap.to_owned(),
            client_id: "test".to_owned(),
            timeout: Duration::from_secs(10),
        });
        Self {
            kafka,
            cluster,
            reader: tokio::sync::Mutex::new(reader),
        }
    }

    pub fn settings(&self) -> MemberSettings {
        let Defaults { consumer } = Defaults::parse_from(["test"]);
        MemberSettings {
            service: Service::Payment,
            kafka: self.kafka.clone(),
            consumer,
            tuning: ConsumerTuning::default(),
            faults: Faults::default(),
            criticality: Criticality::Required,
            clock: Clock::default(),
            tracer: Tracer::default(),
            retry: RetrySettings::default(),
            lock_waits: LockWaits::default(),
            commit_limit: MemberSettings::COMMIT_LIMIT,
        }
    }

    pub fn at_least_once(&self) -> MemberSettings {
        let mut settings = self.settings();
        settings.consumer.delivery = DeliveryMode::AtLeastOnce;
        settings
    }

    pub fn without(&self, protection: Protection) -> MemberSettings {
        MemberSettings {
            faults: Faults::new(Some(protection), None),
            ..self.settings()
        }
    }

    pub async fn publish(&self, records: &[RawRecord]) {
        self.cluster.publish(records).await.unwrap();
    }

    pub async fn publish_orders(&self, orders: &[Envelope]) {
        let records: Vec<_> = orders
            .iter()
            .map(|order| RawRecord::event(order).unwrap())
            .collect();
        self.publish(&records).await;
    }

    pub async fn records(&self, topic: Topic) -> Vec<Record> {
        committed(&self.cluster, topic).await
    }

    /// How often each order was answered, as a `read_committed` reader sees it.
    pub async fn answers(&self) -> BTreeMap<OrderId, usize> {
        let mut answers = BTreeMap::new();
        for record in self.records(Topic::Payments).await {
            match record.decode().unwrap() {
                Decoded::Event(envelope) => {
                    *answers.entry(envelope.event.order_id()).or_insert(0) += 1
                }
                Decoded::UnknownType(name) => {
                    panic!("an event of unknown type {name} among the answers")
                }
            }
        }
        answers
    }

    pub async fn uncommitted(&self) -> UncommittedOffsets {
        self.try_uncommitted().await.unwrap()
    }

    /// The offsets that the group has not committed. An error while the broker starts.
    pub async fn try_uncommitted(&self) -> Result<UncommittedOffsets, ClusterError> {
        let (group, topics) = self.group_and_topics();
        self.cluster.uncommitted_offsets(&group, &topics).await
    }

    /// The committed offset of each topic and partition. An error while the broker starts.
    pub async fn committed_offsets(&self) -> Result<BTreeMap<(String, i32), i64>, ClusterError> {
        let (group, topics) = self.group_and_topics();
        self.cluster.committed_offsets(&group, &topics).await
    }

    fn group_and_topics(&self) -> (String, Vec<String>) {
        let prefix = &self.kafka.name_prefix;
        let topics = Service::Payment.consumes().iter();
        let topics = topics.map(|topic| prefix.topic(*topic)).collect();
        (prefix.group(Service::Payment), topics)
    }

    /// Waits until the group has committed the end of every partition, markers included.
    pub async fn all_committed(&self) {
        eventually(DEADLINE, "everything is committed", async || {
            let uncommitted = self.try_uncommitted().await;
            let uncommitted = uncommitted.map_err(|error| error.to_string())?;
            if uncommitted.is_empty() {
                Ok(())
            } else {
                Err(uncommitted.to_string())
            }
        })
        .await;
    }

    /// The group with its members. Reads again while a reading fails, because another test has just deleted a topic or its records.
    pub async fn group(&self) -> Group {
        eventually(DEADLINE, "the group is read", async || {
            self.try_group().await
        })
        .await
    }

    /// The group with its members. An error while the broker starts or another test deletes a topic or its records.
    pub async fn try_group(&self) -> Result<Group, String> {
        let name = self.kafka.name_prefix.group(Service::Payment);
        let mut reader = self.reader.lock().await;
        reader.remember(&name);
        let snapshot = reader.poll().await.map_err(|error| error.to_string())?;
        Ok(snapshot.group_on_topics(&name, &[]))
    }
}

pub fn start(settings: MemberSettings, service: TestService) -> Running {
    let readiness = Readiness::new("test");
    let registry = Registry::new();
    let member = Member::start(settings, 1, service.clone(), &readiness, &registry).unwrap();
    Running {
        controls: member.controls(),
        member,
        readiness,
        registry,
        service,
    }
}

/// Waits until the readiness report contains the text.
pub async fn reports(readiness: &Readiness, text: &str) {
    eventually(DEADLINE, text, async || {
        let report = readiness.to_string();
        if report.contains(text) {
            Ok(())
        } else {
            Err(report)
        }
    })
    .await;
}

impl Running {
    pub async fn ready(&self) {
        eventually(DEADLINE, "the member is ready", async || {
            let report = self.readiness.to_string();
            if self.readiness.is_ready() {
                Ok(())
            } else {
                Err(report)
            }
        })
        .await;
    }

    /// Waits until the readiness report contains the text.
    pub async fn reports(&self, text: &str) {
        reports(&self.readiness, text).await;
    }

    /// Waits until the readiness report no longer contains the text, and returns it. Looks every millisecond.
    pub async fn stops_reporting(&self, text: &str) -> String {
        let mut interval = tokio::time::interval(Duration::from_millis(1));
        loop {
            interval.tick().await;
            let report = self.readiness.to_string();
            if !report.contains(text) {
                return report;
            }
        }
    }

    /// Waits until a series has this value. A batch is counted only after its commit.
    pub async fn metric_reaches(&self, series: &str, expected: u64) {
        eventually(DEADLINE, series, async || {
            let text = prometheus::TextEncoder::new();
            let text = text.encode_to_string(&self.registry.gather()).unwrap();
            let found = text.lines().find_map(|line| line.strip_prefix(series));
            match found.map(|value| value.trim().parse::<u64>()) {
                Some(Ok(value)) if value == expected => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    pub async fn stop(self) {
        self.member.stopper()();
        self.member.ended().await.unwrap();
    }
}
