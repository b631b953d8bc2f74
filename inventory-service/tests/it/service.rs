//! The whole service in the test's process, on a real broker and a real database.

use clap::Parser;
use inventory_service::{App, Settings};
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Query, Record};
use kafka_runtime::KafkaSettings;
use serde_json::Value;
use shared_events::{CorrelationId, Decoded, Envelope, Event, Service, Topic, TraceParent};
use test_stack::{eventually, shared};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;

/// The whole service in the test's process, and its cluster.
pub struct RunningService {
    pub url: String,
    pub cluster: Cluster,
    shutdown: CancellationToken,
    pub ended: JoinSet<anyhow::Result<()>>,
}

pub fn settings(bootstrap: &str, prefix: &str, database: &str, more: &[&str]) -> Settings {
    let mut arguments = vec!["inventory-service", "--port=0"];
    let named = [
        format!("--bootstrap-servers={bootstrap}"),
        format!("--name-prefix={prefix}"),
        format!("--database-url={database}"),
    ];
    arguments.extend(named.iter().map(String::as_str));
    arguments.extend(more);
    Settings::try_parse_from(arguments).unwrap()
}

pub async fn run(settings: Settings) -> RunningService {
    let cluster = Cluster::new(&settings.kafka).unwrap();
    let app = App::build(settings).await.unwrap();
    let url = format!("http://{}", app.address().unwrap());
    let shutdown = CancellationToken::new();
    let mut ended = JoinSet::new();
    ended.spawn(app.run(shutdown.clone()));
    RunningService {
        url,
        cluster,
        shutdown,
        ended,
    }
}

/// The service with topics, a group and a database of its own on the shared stack.
pub async fn run_shared(test: &str, more: &[&str]) -> (RunningService, Settings) {
    let stack = shared().await;
    let prefix = stack.unique_prefix(test);
    let settings = settings(
        stack.bootstrap(),
        &prefix,
        &stack.database(test).await,
        more,
    );
    create_topics(&settings.kafka).await;
    (run(settings.clone()).await, settings)
}

pub async fn create_topics(kafka: &KafkaSettings) {
    let topics = [Topic::Payments, Topic::Inventory, Topic::InventoryDlq];
    let cluster = Cluster::new(kafka).unwrap();
    cluster.create_topics(&topics, None).await.unwrap();
}

impl RunningService {
    pub async fn readiness(&self) -> (u16, Value) {
        let response = reqwest::get(format!("{}/health/ready", self.url))
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn wait_until_ready(&self) {
        eventually(PATIENCE, "the service is ready", async || {
            match self.readiness().await {
                (200, _) => Ok(()),
                (_, not) => Err(not),
            }
        })
        .await;
    }

    /// Waits until readiness shows exactly these components as down.
    pub async fn wait_until_down(&self, down: &[&str]) {
        let check = async || {
            let (_, body) = self.readiness().await;
            let components = body["components"].as_array().unwrap().iter();
            let seen: Vec<_> = components
                .filter(|component| component["status"] == "down")
                .map(|component| component["name"].as_str().unwrap())
                .collect();
            if seen == down { Ok(()) } else { Err(body) }
        };
        eventually(
            PATIENCE,
            "readiness names the components that are down",
            check,
        )
        .await;
    }

    pub async fn publish(&self, events: &[Envelope]) {
        let records: Vec<_> = events
            .iter()
            .map(|event| RawRecord::event(event).unwrap())
            .collect();
        self.cluster.publish(&records).await.unwrap();
    }

    /// Waits for this many records in a topic.
    pub async fn records(&self, topic: Topic, count: usize) -> Vec<Record> {
        let name = self.cluster.prefix().topic(topic);
        eventually(PATIENCE, "the records are there", async || {
            let records = self.cluster.read(&name, &Query::default()).await.unwrap();
            if records.len() == count {
                Ok(records)
            } else {
                Err(format!("{} records", records.len()))
            }
        })
        .await
    }

    pub async fn wait_until_caught_up(&self) {
        let group = self.cluster.prefix().group(Service::Inventory);
        let topics = [self.cluster.prefix().topic(Topic::Payments)];
        eventually(PATIENCE, "the group has caught up", async || {
            let uncommitted = self
                .cluster
                .uncommitted_offsets(&group, &topics)
                .await
                .unwrap();
            if uncommitted.is_empty() {
                Ok(())
            } else {
                Err(uncommitted)
            }
        })
        .await;
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub fn in_saga(event: impl Into<Event>) -> Envelope {
    Envelope::first(event, CorrelationId::random(), TraceParent::random())
}

pub fn event(record: &Record) -> Envelope {
    match record.decode().unwrap() {
        Decoded::Event(envelope) => *envelope,
        Decoded::UnknownType(name) => panic!("{name}"),
    }
}
