//! The shop as its customers see it: over HTTP, with answers that have types.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use chrono::{DateTime, Utc};
use kafka_runtime::controls::{InForce, Stats};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared_events::{Amount, CustomerId, GroupControls, OrderId, ProductId, Quantity, Service};

use crate::sandbox::{Instance, Sandbox};
use crate::workload::Workload;

/// How long the shop may think about one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a customer orders.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// Who orders.
    pub customer_id: CustomerId,
    /// What.
    pub product_id: ProductId,
    /// How many pieces.
    pub quantity: Quantity,
    /// What all of them cost.
    pub amount: Amount,
}

/// The answer to an order that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// The order.
    pub order_id: OrderId,
    /// What the request is called in every event and log line.
    pub correlation_id: String,
    /// Where the order stands.
    pub status: Status,
}

/// Where an order stands, in the shop's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "UPPERCASE")]
#[value(rename_all = "UPPER")]
pub enum Status {
    /// Accepted, not paid.
    Pending,
    /// Paid, not reserved.
    Paid,
    /// Out of stock, money not back.
    Refunding,
    /// Paid and reserved.
    Confirmed,
    /// Out of stock, money back.
    Cancelled,
    /// Declined.
    Failed,
}

impl Status {
    /// Whether nothing more will happen.
    pub fn is_end(self) -> bool {
        match self {
            Self::Confirmed | Self::Cancelled | Self::Failed => true,
            Self::Pending | Self::Paid | Self::Refunding => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Refunding => "REFUNDING",
            Self::Confirmed => "CONFIRMED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        })
    }
}

/// An order as order-service tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    /// The order.
    pub order_id: OrderId,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or was cancelled.
    pub failure_reason: Option<String>,
    /// What happened, in the order of the story.
    pub facts: Vec<Fact>,
    /// The events of which one has to come next; none at an end.
    pub waiting_for: Option<Vec<String>>,
    /// Since when.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// One thing that happened to an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// The event that told it.
    pub event: String,
    /// When it was told first.
    pub at: DateTime<Utc>,
    /// That event's id.
    pub event_id: String,
}

impl fmt::Display for OrderView {
    /// One line: the status, why, and what it waits for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {} is {}", self.order_id, self.status)?;
        if let Some(reason) = &self.failure_reason {
            write!(f, " ({reason})")?;
        }
        let Some(events) = &self.waiting_for else {
            return Ok(());
        };
        write!(f, ", waiting for {}", events.join(" or "))?;
        match self.waiting_since {
            Some(since) => write!(f, " since {}", since.format("%H:%M:%S")),
            None => Ok(()),
        }
    }
}

/// lag-monitor's judgement of a group on a topic.
#[derive(Debug, Clone, Deserialize)]
pub struct Judged {
    /// ok, warning or critical.
    pub status: String,
    /// The rule that fired; `keeps_up` if none did.
    pub rule: String,
    /// The figures it fired by, in a sentence.
    pub evidence: String,
}

#[derive(Deserialize)]
struct Product {
    quantity: u64,
}

/// RFC 9457, as far as a person wants to read it.
#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    field: String,
    detail: String,
}

/// The shop of one stack.
#[derive(Debug, Clone)]
pub struct Shop<'a> {
    sandbox: &'a Sandbox,
    http: reqwest::Client,
}

impl<'a> Shop<'a> {
    /// The shop of this stack, whether it runs or not.
    pub fn new(sandbox: &'a Sandbox) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { sandbox, http })
    }

    /// Where a program takes requests: its first running instance, or where that would be.
    pub async fn url(&self, workload: impl Into<Workload>) -> Result<String> {
        let workload = workload.into();
        let running = self.sandbox.instances(workload).await?;
        let url = match running.into_iter().next() {
            Some(first) => Some(first.url),
            None => self
                .sandbox
                .vantage()
                .would_be_at(self.sandbox, workload, 1)?,
        };
        url.with_context(|| format!("{workload} does not run: ./sandbox up starts it"))
    }

    /// Orders. With an idempotency key, the same order twice is one order.
    pub async fn place(&self, order: &NewOrder, key: Option<&str>) -> Result<Placed> {
        let mut request = self
            .http
            .post(format!("{}/orders", self.url(Service::Order).await?))
            .json(order);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        read(Service::Order, send(Service::Order, request).await?).await
    }

    /// The order, if the shop knows it.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderView>> {
        self.find(Service::Order, &format!("orders/{id}")).await
    }

    /// The same as the shop's own JSON, byte by byte: a parsed amount would lose its last zero.
    pub async fn order_json(&self, id: OrderId) -> Result<Option<Box<RawValue>>> {
        self.find(Service::Order, &format!("orders/{id}")).await
    }

    /// How many pieces of a product are there, if the stock knows it.
    pub async fn stock(&self, product: &ProductId) -> Result<Option<u64>> {
        let path = format!("products/{product}");
        let product: Option<Product> = self.find(Service::Inventory, &path).await?;
        Ok(product.map(|product| product.quantity))
    }

    /// What lag-monitor makes of a group on a topic; on its only one without.
    pub async fn judged(&self, group: &str, topic: Option<&str>) -> Result<Judged> {
        let monitor = Workload::LagMonitor;
        let mut url: Url = format!("{}/status", self.url(monitor).await?).parse()?;
        url.query_pairs_mut().append_pair("group", group);
        if let Some(topic) = topic {
            url.query_pairs_mut().append_pair("topic", topic);
        }
        read(monitor, send(monitor, self.http.get(url)).await?).await
    }

    /// What holds for one member, and where it comes from.
    pub async fn controls(&self, instance: &Instance) -> Result<InForce> {
        let request = self.http.get(format!("{}/config", instance.url));
        read(instance.workload, send(instance.workload, request).await?).await
    }

    /// Asks this of one member alone, and returns what holds then.
    pub async fn set_controls(
        &self,
        instance: &Instance,
        wanted: &GroupControls,
    ) -> Result<InForce> {
        let request = self.http.post(format!("{}/config", instance.url));
        let sent = send(instance.workload, request.json(wanted)).await?;
        read(instance.workload, sent).await
    }

    /// What one member does.
    pub async fn stats(&self, instance: &Instance) -> Result<Stats> {
        let request = self.http.get(format!("{}/stats", instance.url));
        read(instance.workload, send(instance.workload, request).await?).await
    }

    /// What a program tells Prometheus.
    pub async fn metrics(&self, workload: impl Into<Workload>) -> Result<String> {
        let workload = workload.into();
        let url = format!("{}/metrics", self.url(workload).await?);
        let answer = send(workload, self.http.get(url)).await?.text().await;
        answer.with_context(|| format!("the answer of {workload} broke off"))
    }

    /// Sends JSON as it was written, and returns the answer as it came, whatever it says.
    pub async fn exchange(
        &self,
        service: Service,
        method: Method,
        path: &str,
        body: &'static str,
    ) -> Result<String> {
        let url = format!("{}{path}", self.url(service).await?);
        let request = self.http.request(method, url).body(body);
        let request = request.header("Content-Type", "application/json");
        let answer = send(service, request).await?.text().await;
        answer.with_context(|| format!("the answer of {service} broke off"))
    }

    async fn find<T: DeserializeOwned>(&self, service: Service, path: &str) -> Result<Option<T>> {
        let request = self
            .http
            .get(format!("{}/{path}", self.url(service).await?));
        let response = send(service, request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(service, response).await.map(Some)
    }
}

async fn send(service: impl fmt::Display, request: RequestBuilder) -> Result<Response> {
    request.send().await.map_err(|error| {
        let url = error.url().map(ToString::to_string).unwrap_or_default();
        if error.is_timeout() {
            anyhow!("{service} did not answer within {PATIENCE:?} at {url}: is it paused? ./sandbox status tells")
        } else {
            anyhow!("{service} cannot be reached at {url}: ./sandbox up starts it")
        }
    })
}

async fn read<T: DeserializeOwned>(service: impl fmt::Display, response: Response) -> Result<T> {
    let status = response.status();
    let body = response
        .bytes()
        .await
        .with_context(|| format!("the answer of {service} broke off"))?;
    if !status.is_success() {
        bail!("{service} refused: {}", refusal(status, &body));
    }
    serde_json::from_slice(&body)
        .with_context(|| format!("{service} answered something this program does not understand"))
}

/// What a problem document says, in one line; the bare status of an answer that is none.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return status.to_string();
    };
    let fields: Vec<String> = problem
        .errors
        .iter()
        .map(|error| format!("{} {}", error.field, error.detail))
        .collect();
    let said = [problem.detail.or(problem.title), Some(fields.join("; "))];
    let said: Vec<String> = said
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    format!("{} {}", status.as_u16(), said.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_fields_and_their_limits() {
        let body = br#"{"title":"Unprocessable Content","status":422,"detail":"the order is not valid",
            "errors":[{"field":"quantity","detail":"must be a whole number"},{"field":"amount","detail":"is missing"}]}"#;
        assert_eq!(
            refusal(StatusCode::UNPROCESSABLE_ENTITY, body),
            "422 the order is not valid: quantity must be a whole number; amount is missing"
        );
        assert_eq!(
            refusal(StatusCode::BAD_GATEWAY, b"<html>"),
            "502 Bad Gateway"
        );
    }
}
