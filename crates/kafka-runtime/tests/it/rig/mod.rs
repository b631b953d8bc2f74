//! A group of its own on the real broker, and a service whose work a test can watch and disturb.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Parser;
use cluster_reader::{ClusterReader, Group, ReaderSettings};
use kafka_admin::offsets::UncommittedOffsets;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Query, Record};
use kafka_admin::{Cluster, ClusterError};
use kafka_runtime::{
    Clock, ConsumerSettings, ConsumerTuning, Controls, DeliveryMode, Failure, Faults, Handler,
    KafkaSettings, Member, MemberSettings, Need, Protection,
};
use prometheus::Registry;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use service_kit::Readiness;
use service_kit::trace::Tracer;
use shared_events::{
    Amount, CorrelationId, CustomerId, Decoded, Envelope, Event, NamePrefix, OrderCreated, OrderId,
    PaymentId, PaymentSucceeded, Poison, PoisonClass, ProductId, Quantity, Service, Topic,
    TraceParent,
};
use test_stack::eventually;

#[path = "../../../../kafka-admin/tests/it/committed.rs"]
mod committed;

pub use committed::committed;

pub const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    consumer: ConsumerSettings,
}

/// Topics and a group that no other test shares.
pub struct Rig {
    pub kafka: KafkaSettings,
    pub cluster: Cluster,
    reader: tokio::sync::Mutex<ClusterReader>,
}

/// What a test sees of a member, and how it ends it.
pub struct Running {
    pub member: Member,
    pub controls: Controls,
    pub readiness: Readiness,
    pub registry: Registry,
    pub service: Watched,
}

impl Rig {
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
            need: Need::Required,
            clock: Clock::default(),
            tracer: Tracer::default(),
            commit_limit: Duration::from_secs(75),
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
                Decoded::UnknownType(name) => panic!("a record of type {name} among the answers"),
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

    /// The group with its members. An error while the broker starts or another test deletes a topic.
    pub async fn group(&self) -> Result<Group, String> {
        let name = self.kafka.name_prefix.group(Service::Payment);
        let mut reader = self.reader.lock().await;
        reader.remember(&name);
        let snapshot = reader.poll().await.map_err(|error| error.to_string())?;
        Ok(snapshot.group_on_topics(&name, &[]))
    }
}

/// A payment-like service: answers each `OrderCreated`, and does as the test says.
#[derive(Clone, Default)]
pub struct Watched {
    pub applied: Arc<Mutex<Vec<OrderId>>>,
    pub fail_next: Arc<AtomicU32>,
    pub read: Arc<AtomicU32>,
    pub read_pause_us: Arc<AtomicU32>,
    /// A record that is being read is not read to its end as long as this is set.
    pub read_waits: Arc<AtomicBool>,
}

/// Products to which the service behaves in a certain way.
pub const PANICS_WHEN_READ: &str = "panics_when_read";
pub const PANICS_WHEN_APPLIED: &str = "panics_when_applied";
pub const REFUSED_BY_RULE: &str = "refused_by_rule";
pub const REFUSED_BY_DATABASE: &str = "refused_by_database";

impl Handler for Watched {
    type Work = Envelope;

    fn read(&self, envelope: Envelope, _: DateTime<Utc>) -> Result<Option<Envelope>, Poison> {
        self.read.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(
            self.read_pause_us.load(Ordering::Relaxed).into(),
        ));
        while self.read_waits.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let Event::OrderCreated(order) = &envelope.event else {
            return Ok(None);
        };
        match order.product_id.as_str() {
            PANICS_WHEN_READ => panic!("asked to panic"),
            REFUSED_BY_RULE => Err(Poison::new(PoisonClass::DomainRule, "asked to refuse")),
            _ => Ok(Some(envelope)),
        }
    }

    async fn apply(&self, work: &[&Envelope]) -> Result<Vec<Envelope>, Failure> {
        let asked_to_fail =
            self.fail_next
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
        if asked_to_fail.is_ok() {
            return Err(Failure::Retryable {
                operation: "a test",
                source: "asked to fail".into(),
            });
        }
        let mut answers = Vec::new();
        for envelope in work {
            let Event::OrderCreated(order) = &envelope.event else {
                continue;
            };
            match order.product_id.as_str() {
                PANICS_WHEN_APPLIED => panic!("asked to panic"),
                REFUSED_BY_DATABASE => {
                    return Err(Failure::BadValue {
                        operation: "a test",
                        source: "asked to refuse".into(),
                    });
                }
                _ => answers.push(Envelope::answer(&envelope.headers, paid(order))),
            }
        }
        self.applied
            .lock()
            .unwrap()
            .extend(work.iter().map(|envelope| envelope.event.order_id()));
        Ok(answers)
    }
}

fn paid(order: &OrderCreated) -> PaymentSucceeded {
    PaymentSucceeded {
        order_id: order.order_id,
        payment_id: PaymentId::of(order.order_id),
        product_id: order.product_id.clone(),
        quantity: order.quantity,
        amount: order.amount,
        occurred_at: order.occurred_at,
    }
}

pub fn order(product: &str) -> Envelope {
    let event = OrderCreated {
        order_id: OrderId::now(),
        customer_id: CustomerId::new("cust").unwrap(),
        product_id: ProductId::new(product).unwrap(),
        quantity: Quantity::new(1).unwrap(),
        amount: "10.00".parse::<Amount>().unwrap(),
        occurred_at: Utc::now(),
    };
    Envelope::first(event, CorrelationId::random(), TraceParent::random())
}

pub fn orders(count: usize) -> Vec<Envelope> {
    (0..count).map(|_| order("prod")).collect()
}

pub fn start(settings: MemberSettings, service: Watched) -> Running {
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

    /// Waits until readiness says this of a component.
    pub async fn says(&self, text: &str) {
        eventually(DEADLINE, text, async || {
            let report = self.readiness.to_string();
            if report.contains(text) {
                Ok(())
            } else {
                Err(report)
            }
        })
        .await;
    }

    /// Waits until readiness does not say this of any component, and returns what it says then. It looks every millisecond.
    pub async fn no_longer_says(&self, text: &str) -> String {
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        loop {
            looks.tick().await;
            let report = self.readiness.to_string();
            if !report.contains(text) {
                return report;
            }
        }
    }

    /// Waits until a series has this value: a batch is counted after it is settled.
    pub async fn counts(&self, series: &str, expected: u64) {
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
