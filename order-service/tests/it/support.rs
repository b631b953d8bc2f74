//! What the tests share: the service in this process, with a database of its own.

use std::time::Duration;

use clap::Parser;
use order_service::app::MIGRATIONS;
use order_service::metrics::Metrics;
use order_service::{App, Settings};
use prometheus::Registry;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::PgPool;
use test_stack::{eventually, shared};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// An address at which no broker is.
pub const NO_KAFKA: &str = "127.0.0.1:1";

/// A service that runs in this process.
pub struct Instance {
    pub base: String,
    pub client: Client,
    shutdown: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

/// A new database with the tables in it.
pub async fn database(test: &str) -> (String, PgPool) {
    let url = shared().await.database(test).await;
    let pool = PgPool::connect(&url).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    (url, pool)
}

/// Settings as of the command line.
pub fn settings(url: &str, bootstrap: &str, more: &[&str]) -> Settings {
    let all = [
        "order-service",
        "--port=0",
        "--database-url",
        url,
        "--bootstrap-servers",
        bootstrap,
    ];
    Settings::parse_from(all.iter().chain(more))
}

/// A service on the database, without Kafka, that is ready.
pub async fn without_kafka(url: &str, more: &[&str]) -> Instance {
    let instance = start(settings(url, NO_KAFKA, more)).await;
    instance.ready().await;
    instance
}

/// A service that was told to start.
pub async fn start(settings: Settings) -> Instance {
    let app = App::build(settings).await.unwrap();
    let base = format!("http://{}", app.address().unwrap());
    let shutdown = CancellationToken::new();
    #[allow(clippy::disallowed_methods, reason = "the test keeps the handle")]
    let ended = tokio::spawn(app.run(shutdown.clone()));
    Instance {
        base,
        client: Client::new(),
        shutdown,
        ended,
    }
}

/// The order of the first story.
pub fn order() -> Value {
    json!({"customerId": "cust_happy_path", "productId": "prod_123", "quantity": 2, "amount": 250.50})
}

/// Metrics that nobody reads.
pub fn uncounted() -> Metrics {
    Metrics::new(&Registry::new()).unwrap()
}

/// How many rows a query counts.
pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

impl Instance {
    /// A `POST /orders` that is still to be sent.
    pub fn order(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.client.post(format!("{}/orders", self.base));
        request
            .header("Content-Type", "application/json")
            .body(body)
    }

    pub async fn post(&self, body: &Value) -> Answer {
        answer(self.order(body.to_string())).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.base))).await
    }

    /// The answer as it comes.
    pub async fn open(&self, path: &str) -> Response {
        self.client
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap()
    }

    /// Waits until the order stands there.
    pub async fn stands(&self, id: &str, status: &str) -> Value {
        eventually(DEADLINE, &format!("order {id} is {status}"), async || {
            let order = self.get(&format!("/orders/{id}")).await.body;
            if order["status"] == status {
                Ok(order)
            } else {
                Err(order.to_string())
            }
        })
        .await
    }

    pub async fn ready(&self) -> Value {
        eventually(DEADLINE, "the service is ready", async || {
            let ready = self.get("/health/ready").await;
            if ready.status == 200 {
                Ok(ready.body)
            } else {
                Err(ready.body.to_string())
            }
        })
        .await
    }

    /// The value of a metric, with its labels as written in the text format. What is counted in the database is absent after a count
    /// that took too long, until the next one.
    pub async fn metric(&self, name: &str) -> f64 {
        eventually(DEADLINE, &format!("{name} is told"), async || {
            let text = self.open("/metrics").await.text().await.unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.map(|value| value.parse().unwrap()).ok_or(text)
        })
        .await
    }

    /// Stops the service, and waits until it has ended.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }

    /// Waits until the service has ended by itself, or after [`Instance::stop`].
    pub async fn ended(self) -> anyhow::Result<()> {
        tokio::time::timeout(DEADLINE, self.ended)
            .await
            .expect("the service ends")
            .unwrap()
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} with no JSON: {text}"));
    Answer {
        status,
        headers,
        body,
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub fn id(&self) -> String {
        self.body["orderId"]
            .as_str()
            .unwrap_or_else(|| panic!("no order: {self:?}"))
            .to_owned()
    }

    /// Holds that this is a problem document with this status, and that it names these.
    #[track_caller]
    pub fn is_problem(&self, status: u16, names: &[&str]) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.body
        );
        for member in ["type", "title", "detail"] {
            assert!(self.body[member].is_string(), "{}", self.body);
        }
        assert_eq!(self.body["status"], status, "{}", self.body);
        let text = self.body.to_string();
        for name in names {
            assert!(text.contains(name), "{name} is not in {text}");
        }
        if status == 503 {
            assert!(self.header("retry-after").parse::<u32>().unwrap() >= 1);
        }
    }

    /// Holds that this is a 422 that names exactly these fields.
    #[track_caller]
    pub fn refuses(&self, fields: &[&str], limit: &str) {
        self.is_problem(422, &[limit]);
        let errors = self.body["errors"].as_array().unwrap();
        let named: Vec<_> = errors
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{}", self.body);
    }
}
