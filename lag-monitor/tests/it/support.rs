//! A monitor, and a shop's topics and groups of its own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Parser;
use lag_monitor::{App, Settings};
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_runtime::{
    Clock, ConsumerSettings, ConsumerTuning, Failure, Faults, Handler, KafkaSettings, Member,
    MemberSettings, Need,
};
use prometheus::Registry;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use service_kit::Readiness;
use service_kit::trace::Tracer;
use shared_events::{Envelope, Poison, Service, Topic};
use test_stack::{eventually, shared};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::wire;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// Topics and groups that no other test shares, and a monitor that watches them every second.
pub struct Lab {
    pub kafka: KafkaSettings,
    pub cluster: Cluster,
    pub url: String,
    client: Client,
    shutdown: CancellationToken,
    monitor: JoinSet<anyhow::Result<()>>,
}

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    consumer: ConsumerSettings,
}

/// A service that does nothing.
struct Idle;

impl Handler for Idle {
    type Work = ();

    fn read(&self, _: Envelope, _: DateTime<Utc>) -> Result<Option<()>, Poison> {
        Ok(None)
    }

    async fn apply(&self, _: &[&()]) -> Result<Vec<Envelope>, Failure> {
        Ok(Vec::new())
    }
}

impl Lab {
    pub async fn new(test: &str) -> Self {
        let stack = shared().await;
        Self::on(stack.bootstrap(), &stack.unique_prefix(test)).await
    }

    /// `payments` and `orders` with three partitions each.
    pub async fn on(bootstrap: &str, prefix: &str) -> Self {
        Self::with(bootstrap, prefix, &["--port=0"]).await
    }

    /// The same, with these settings of the monitor besides.
    pub async fn with(bootstrap: &str, prefix: &str, more: &[&str]) -> Self {
        let kafka = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            name_prefix: prefix.parse().unwrap(),
            slot: None,
        };
        let cluster = Cluster::new(&kafka).unwrap();
        cluster.create_topics(&Topic::ALL, None).await.unwrap();
        let arguments = [
            "lag-monitor",
            "--poll-interval-seconds=1",
            "--bootstrap-servers",
            bootstrap,
            "--name-prefix",
            prefix,
        ];
        let app = App::build(Settings::parse_from(arguments.iter().chain(more)))
            .await
            .unwrap();
        let url = format!("http://{}", app.address().unwrap());
        let shutdown = CancellationToken::new();
        let mut monitor = JoinSet::new();
        monitor.spawn(app.run(shutdown.clone()));
        Self {
            kafka,
            cluster,
            url,
            client: Client::new(),
            shutdown,
            monitor,
        }
    }

    pub fn name(&self, name: &str) -> String {
        self.kafka.name_prefix.name(name)
    }

    /// Publishes so many records of rubbish.
    pub async fn publish(&self, topic: Topic, partition: i32, count: usize) {
        let record = RawRecord {
            topic,
            partition: Some(partition),
            key: None,
            headers: Vec::new(),
            value: Some(b"rubbish".to_vec()),
        };
        self.cluster.publish(&vec![record; count]).await.unwrap();
    }

    /// Commits for a group of this lab that nobody is in.
    pub async fn commit(&self, group: &str, topic: Topic, partition: i32, offset: i64) {
        let (group, topic) = (self.name(group), self.kafka.name_prefix.topic(topic));
        let broker = &self.kafka.bootstrap_servers;
        wire::commit(broker, &group, &topic, partition, offset).await;
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
            need: Need::Required,
            clock: Clock::default(),
            tracer: Tracer::default(),
            commit_limit: Duration::from_secs(75),
        };
        Member::start(settings, 1, Idle, &Readiness::new("test"), &Registry::new()).unwrap()
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// The answer at this moment.
    pub async fn get_now(&self, path: &str) -> (u16, Value) {
        answer(self.ask(Method::GET, path)).await
    }

    /// The answer when there is one. On a broker that others use there is none (503) for a moment, when a poll has met a topic that
    /// was just being deleted, or took long.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        eventually(DEADLINE, path, async || match self.get_now(path).await {
            (503, body) => Err(format!("503 {body}")),
            answer => Ok(answer),
        })
        .await
    }

    pub async fn stream(&self) -> Response {
        self.ask(Method::GET, "/events").send().await.unwrap()
    }

    /// What a scrape gets at this moment.
    pub async fn metrics_now(&self) -> String {
        let response = self.ask(Method::GET, "/metrics").send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// What a scrape gets when there are figures.
    pub async fn metrics(&self) -> String {
        eventually(DEADLINE, "there are figures to scrape", async || {
            let metrics = self.metrics_now().await;
            match series(&metrics, "kafka_consumer_group_lag").is_empty() {
                true => Err(metrics),
                false => Ok(metrics),
            }
        })
        .await
    }

    /// Asks again until the answer is as wanted, which may be one that says that there are no figures.
    pub async fn until(
        &self,
        what: &str,
        path: &str,
        wanted: impl Fn(u16, &Value) -> bool,
    ) -> Value {
        eventually(DEADLINE, what, async || {
            let (status, body) = self.get_now(path).await;
            match wanted(status, &body) {
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
        self.monitor.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    (status, body)
}

/// The values of all series of this name.
pub fn series<'a>(metrics: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let split = lines.filter_map(|line| line.rsplit_once(' '));
    split
        .filter(|(series, _)| series.split('{').next() == Some(name))
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect()
}
