//! What the tests share: the service in the test's process, with a database of its own.

use std::time::Duration;

use clap::Parser;
use order_service::app::MIGRATIONS;
use order_service::metrics::Metrics;
use order_service::{App, Settings};
use prometheus::Registry;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use shared_events::http_api::ProblemDocument;
use sqlx::PgPool;
use test_stack::{eventually, shared};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// An address without a broker.
pub const NO_KAFKA: &str = "127.0.0.1:1";

/// A service that runs in the test's process.
pub struct Instance {
    pub base: String,
    pub client: Client,
    shutdown: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

/// A response with its whole body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

/// A new database with its tables.
pub async fn database(test: &str) -> (String, PgPool) {
    let url = shared().await.database(test).await;
    let pool = PgPool::connect(&url).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    (url, pool)
}

/// Settings from a command line.
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

/// A ready service without Kafka.
pub async fn without_kafka(url: &str, more: &[&str]) -> Instance {
    let instance = start(settings(url, NO_KAFKA, more)).await;
    instance.ready().await;
    instance
}

/// A service that was started and may not be ready yet.
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

/// The order that is confirmed in the README.
pub fn order() -> Value {
    json!({"customerId": "cust_happy_path", "productId": "prod_123", "quantity": 2, "amount": 250.50})
}

/// Metrics for a test that does not read them.
pub fn unread_metrics() -> Metrics {
    Metrics::new(&Registry::new()).unwrap()
}

/// The result of a `SELECT count(*)`.
pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

impl Instance {
    /// A `POST /orders` that the caller sends.
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

    /// The response, whose body the caller reads.
    pub async fn open(&self, path: &str) -> Response {
        self.client
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .unwrap()
    }

    /// Waits until the order has this status.
    pub async fn order_with_status(&self, id: &str, status: &str) -> Value {
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

    /// The value of a metric; `name` includes the labels, as in the text format. A gauge that is
    /// counted in the database is absent after a count that took too long, so this waits for the
    /// next count.
    pub async fn metric(&self, name: &str) -> f64 {
        eventually(DEADLINE, &format!("{name} is in /metrics"), async || {
            let text = self.open("/metrics").await.text().await.unwrap();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.map(|value| value.parse().unwrap()).ok_or(text)
        })
        .await
    }

    /// Stops the service and waits for its end.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }

    /// Waits until the service has ended.
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

    /// Asserts that this is a problem document with this status that contains these texts.
    #[track_caller]
    pub fn is_problem(&self, status: u16, texts: &[&str]) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.body
        );
        let document: ProblemDocument = serde_json::from_value(self.body.clone()).unwrap();
        assert_eq!(document.status, status, "{document}");
        let text = self.body.to_string();
        for part in texts {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        if status == 503 {
            assert!(self.header("retry-after").parse::<u32>().unwrap() >= 1);
        }
    }

    /// Asserts that this is a 422 that names exactly these fields.
    #[track_caller]
    pub fn names_wrong_fields(&self, fields: &[&str], limit: &str) {
        self.is_problem(422, &[limit]);
        let errors = self.body["errors"].as_array().unwrap();
        let named: Vec<_> = errors
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{}", self.body);
    }
}
