//! What the tests share: topics of a test's own, the program, and the service.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use clap::Parser;
use kafka_admin::Cluster;
use kafka_admin::KafkaSettings;
use kafka_admin::records::{Query, Record};
use load_generator::App;
use load_generator::settings::{Cli, Verb};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use shared_events::{Decoded, Envelope, Event, OrderCreated, Topic};
use test_stack::{eventually, shared};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The topic of one test.
pub struct Broker {
    pub kafka: KafkaSettings,
    pub cluster: Cluster,
}

/// The service in the test's process. It ends with the test.
pub struct RunningService {
    pub url: String,
    pub client: Client,
    pub shutdown: CancellationToken,
    pub ended: JoinSet<anyhow::Result<()>>,
}

impl Broker {
    pub async fn new(test: &str, partitions: i32) -> Self {
        let stack = shared().await;
        Self::on(stack.bootstrap(), &stack.unique_prefix(test), partitions).await
    }

    pub async fn on(bootstrap: &str, prefix: &str, partitions: i32) -> Self {
        let kafka = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            name_prefix: prefix.parse().unwrap(),
            slot: None,
        };
        let cluster = Cluster::new(&kafka).unwrap();
        let created = cluster.create_topics(&[Topic::Orders], Some(partitions));
        created.await.unwrap();
        Self { kafka, cluster }
    }

    pub async fn records(&self) -> Vec<Record> {
        let topic = self.kafka.name_prefix.topic(Topic::Orders);
        eventually(PATIENCE, "the topic can be read", async || {
            let read = self.cluster.read(&topic, &Query::default()).await;
            read.map_err(|error| error.to_string())
        })
        .await
    }

    /// The orders in the topic with their partitions. Any other event fails the test.
    pub async fn orders(&self) -> Vec<(i32, OrderCreated)> {
        let records = self.records().await;
        records
            .iter()
            .map(|record| (record.partition, order(record)))
            .collect()
    }

    /// The program with this broker's address and no other environment variable.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka.bootstrap_servers)
            .env("NAME_PREFIX", self.kafka.name_prefix.to_string());
        command
    }

    /// Runs a load that must succeed, and returns its summary.
    pub async fn load(&self, arguments: &[&str]) -> Value {
        let all: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
        let output = output(self.command(&all)).await;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub async fn serve(&self, more: &[&str]) -> RunningService {
        let servers = format!("--bootstrap-servers={}", self.kafka.bootstrap_servers);
        let prefix = format!("--name-prefix={}", self.kafka.name_prefix);
        let own = ["load-generator", "serve", "--port=0", &servers, &prefix];
        let cli = Cli::try_parse_from(own.iter().chain(more)).unwrap();
        let Verb::Serve(settings) = cli.verb else {
            panic!("{cli:?}")
        };
        let app = App::build(settings).await.unwrap();
        let url = format!("http://{}", app.address().unwrap());
        let (shutdown, mut ended) = (CancellationToken::new(), JoinSet::new());
        ended.spawn(app.run(shutdown.clone()));
        RunningService {
            url,
            client: Client::new(),
            shutdown,
            ended,
        }
    }
}

/// The `OrderCreated` in a record; another event fails the test.
pub fn order(record: &Record) -> OrderCreated {
    let Decoded::Event(envelope) = record.decode().unwrap() else {
        panic!("{record:?}")
    };
    let Envelope { event, headers } = *envelope;
    assert_eq!(headers.event_id, event.event_id());
    let Event::OrderCreated(order) = event else {
        panic!("{event:?}")
    };
    order
}

impl RunningService {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path)).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn wait_until_connected(&self) {
        eventually(PATIENCE, "the broker is reached", async || {
            match self.get("/health").await {
                (StatusCode::OK, _) => Ok(()),
                (_, body) => Err(body.to_string()),
            }
        })
        .await;
    }

    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.request(Method::GET, "/metrics").send().await.unwrap();
        let text = text.text().await.unwrap();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(name, _)| *name == series);
        found.map(|(_, value)| value.parse().unwrap())
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended.join_next().await.unwrap().unwrap().unwrap();
    }
}

pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// The program with an empty environment.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-generator"));
    command.args(arguments).env_clear();
    command
}

pub fn start(mut command: Command) -> Child {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
    piped.stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs the program without blocking other tests.
pub async fn output(command: Command) -> Output {
    let child = start(command);
    wait_for_exit(child).await
}

pub async fn wait_for_exit(child: Child) -> Output {
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    ended.await.unwrap().unwrap()
}

pub fn all_output(output: &Output) -> String {
    let all = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(all).unwrap()
}
