//! A monitor with topics and groups that no other test uses.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Parser;
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_runtime::database::LockWaits;
use kafka_runtime::{
    Applied, Clock, ConsumerSettings, ConsumerTuning, Criticality, Failure, Faults, Handler,
    KafkaSettings, Member, MemberSettings, RetrySettings,
};
use lag_monitor::{App, Settings};
use prometheus::Registry;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use service_kit::Readiness;
use service_kit::trace::Tracer;
use shared_events::{Envelope, Poison, Service, Topic};
use test_stack::{eventually, shared};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::kafka_wire;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// Topics and groups with a unique prefix, and a running monitor that polls them every second.
pub struct TestMonitor {
    pub kafka: KafkaSettings,
    pub cluster: Cluster,
    pub url: String,
    client: Client,
    shutdown: CancellationToken,
    run: JoinSet<anyhow::Result<()>>,
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    consumer: ConsumerSettings,
}

/// Consumes every record and writes nothing.
struct Idle;

impl Handler for Idle {
    type Work = ();

    fn read(&self, _: Envelope, _: DateTime<Utc>) -> Result<Option<()>, Poison> {
        Ok(None)
    }

    async fn apply(&self, _: &[&()]) -> Result<Applied, Failure> {
        Ok(Applied::Events(Vec::new()))
    }
}

impl TestMonitor {
    pub async fn new(test: &str) -> Self {
        let stack = shared().await;
        Self::on(stack.bootstrap(), &stack.unique_prefix(test)).await
    }

    /// `payments` and `orders` with three partitions each.
    pub async fn on(bootstrap: &str, prefix: &str) -> Self {
        Self::with(bootstrap, prefix, &["--port=0"]).await
    }

    /// The same with these arguments for the monitor.
    pub async fn with(bootstrap: &str, prefix: &str, arguments: &[&str]) -> Self {
        let kafka = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            name_prefix: prefix.parse().unwrap(),
            slot: None,
        };
        let cluster = Cluster::new(&kafka).unwrap();
        cluster.create_topics(&Topic::ALL, None).await.unwrap();
        let defaults = [
            "lag-monitor",
            "--poll-interval-seconds=1",
            "--bootstrap-servers",
            bootstrap,
            "--name-prefix",
            prefix,
        ];
        let app = App::build(Settings::parse_from(defaults.iter().chain(arguments)))
            .await
            .unwrap();
        let url = format!("http://{}", app.address().unwrap());
        let shutdown = CancellationToken::new();
        let mut run = JoinSet::new();
        run.spawn(app.run(shutdown.clone()));
        Self {
            kafka,
            cluster,
            url,
            client: Client::new(),
            shutdown,
            run,
        }
    }

    pub fn name(&self, name: &str) -> String {
        self.kafka.name_prefix.name(name)
    }

    /// Publishes `count` records that are no valid events.
    pub async fn publish(&self, topic: Topic, partition: i32, count: usize) {
        let record = RawRecord {
            topic,
            partition: Some(partition),
            key: None,
            headers: Vec::new(),
            value: Some(b"invalid".to_vec()),
        };
        self.cluster.publish(&vec![record; count]).await.unwrap();
    }

    /// Commits for a group without members.
    pub async fn commit(&self, group: &str, topic: Topic, partition: i32, offset: i64) {
        let (group, topic) = (self.name(group), self.kafka.name_prefix.topic(topic));
        let broker = &self.kafka.bootstrap_servers;
        kafka_wire::commit(broker, &group, &topic, partition, offset).await;
    }

    /// A member of inventory-service's group.
    pub fn member(&self) -> Member {
        let Defaults { consumer } = Defaults::parse_from(["test"]);
        let settings = MemberSettings {
            service: Service::Inventory,
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
        };
        Member::start(settings, 1, Idle, &Readiness::new("test"), &Registry::new()).unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// The status and the JSON of one request.
    pub async fn get_now(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Retries while the answer is 503. On a shared broker there is no current data for a moment if
    /// a poll takes long, or reads a topic while another test deletes it.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        eventually(DEADLINE, path, async || match self.get_now(path).await {
            (503, body) => Err(format!("503 {body}")),
            answer => Ok(answer),
        })
        .await
    }

    pub async fn stream(&self) -> Response {
        self.request(Method::GET, "/events").send().await.unwrap()
    }

    /// The metrics of one scrape.
    pub async fn metrics_now(&self) -> String {
        let response = self.request(Method::GET, "/metrics").send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// Scrapes until there is lag data.
    pub async fn metrics(&self) -> String {
        eventually(DEADLINE, "a scrape has lag data", async || {
            let metrics = self.metrics_now().await;
            match series(&metrics, "kafka_consumer_group_lag").is_empty() {
                true => Err(metrics),
                false => Ok(metrics),
            }
        })
        .await
    }

    /// Repeats the request until `is_expected(status, body)`. A 503 is passed to `is_expected` as
    /// well.
    pub async fn until(
        &self,
        what: &str,
        path: &str,
        is_expected: impl Fn(u16, &Value) -> bool,
    ) -> Value {
        eventually(DEADLINE, what, async || {
            let (status, body) = self.get_now(path).await;
            match is_expected(status, &body) {
                true => Ok(body),
                false => Err(format!("{status} {body}")),
            }
        })
        .await
    }

    pub async fn until_rule(&self, path: &str, rule: &str) -> Value {
        self.until(rule, path, |status, body| {
            status == 200 && body["rule"] == rule
        })
        .await
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.run.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    (status, body)
}

/// Name with labels, and value, of all series of this metric.
pub fn series<'a>(metrics: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let split = lines.filter_map(|line| line.rsplit_once(' '));
    split
        .filter(|(series, _)| series.split('{').next() == Some(name))
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect()
}
