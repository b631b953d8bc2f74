//! The shop over HTTP, as its customers and its operators use it. The types of orders are those of [`shared_events::http_api`].

mod autoscaler_report;
pub mod monitored_groups;
pub mod orders;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kafka_admin::member_controls::{EffectiveConfig, MemberStats};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use shared_events::http_api::{
    AcceptedOrder, IDEMPOTENCY_KEY, NewOrder, OrderView, ProblemDocument,
};
use shared_events::{GroupControls, OrderId, ProductId, Service};

use crate::layout::{Instance, StackLayout};
use crate::workload::Workload;
use monitored_groups::MonitorReading;

/// The time limit of one request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The health of a group on a topic, as lag-monitor reports it.
#[derive(Debug, Clone, Deserialize)]
pub struct GroupStatus {
    /// `ok`, `unknown`, `warning` or `critical`.
    pub status: String,
    /// The rule that decided the status; `keeps_up` if no rule fired.
    pub rule: String,
    /// The values that the rule decided by, in a sentence.
    pub evidence: String,
}

#[derive(Deserialize)]
struct Product {
    quantity: u64,
}

/// An order in one line: its status, the reason, and the events it waits for.
pub fn describe_order(order: &OrderView) -> String {
    let mut text = format!("order {} is {}", order.order_id, order.status);
    if let Some(reason) = &order.failure_reason {
        text += &format!(" ({reason})");
    }
    if let Some(events) = &order.waiting_for {
        let names: Vec<String> = events.iter().map(ToString::to_string).collect();
        text += &format!(", waiting for {}", names.join(" or "));
        if let Some(since) = order.waiting_since {
            text += &format!(" since {}", since.format("%H:%M:%S"));
        }
    }
    text
}

/// A client of one stack's services and tools.
#[derive(Debug, Clone)]
pub struct ShopClient<'a> {
    layout: &'a StackLayout,
    http: reqwest::Client,
}

impl<'a> ShopClient<'a> {
    /// A client of this stack, whether the stack runs or not. Sends nothing.
    pub fn new(layout: &'a StackLayout) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .context("cannot create an HTTP client")?;
        Ok(Self { layout, http })
    }

    /// The address of the first running instance; on the host, of the first instance even if none runs.
    pub async fn url(&self, workload: impl Into<Workload>) -> Result<String> {
        let workload = workload.into();
        let running = self.layout.instances(workload).await?;
        let url = match running.into_iter().next() {
            Some(first) => Some(first.url),
            None => {
                let side = self.layout.host_or_container();
                side.expected_url(self.layout, workload, 1)?
            }
        };
        url.with_context(|| format!("{workload} does not run: ./sandbox up starts it"))
    }

    /// Places an order. Two requests with the same idempotency key make one order.
    pub async fn place_order(
        &self,
        order: &NewOrder,
        idempotency_key: Option<&str>,
    ) -> Result<AcceptedOrder> {
        let url = format!("{}/orders", self.url(Service::Order).await?);
        let mut request = self.http.post(url).json(order);
        if let Some(key) = idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        read(Service::Order, send(Service::Order, request).await?).await
    }

    /// An order; `None` if order-service does not know it.
    pub async fn order(&self, id: OrderId) -> Result<Option<OrderView>> {
        self.find(Service::Order, &format!("orders/{id}")).await
    }

    /// The same as the service's own JSON, byte by byte: parsing would drop the last zero of an amount.
    pub async fn order_json(&self, id: OrderId) -> Result<Option<Box<RawValue>>> {
        self.find(Service::Order, &format!("orders/{id}")).await
    }

    /// The number of pieces of a product in stock; `None` if inventory-service does not know the product.
    pub async fn stock(&self, product: &ProductId) -> Result<Option<u64>> {
        let path = format!("products/{product}");
        let product: Option<Product> = self.find(Service::Inventory, &path).await?;
        Ok(product.map(|product| product.quantity))
    }

    /// lag-monitor's status of a group on a topic. The topic may be omitted if the group reads one topic only.
    pub async fn group_status(&self, group: &str, topic: Option<&str>) -> Result<GroupStatus> {
        let monitor = Workload::LagMonitor;
        let mut url: Url = format!("{}/status", self.url(monitor).await?).parse()?;
        url.query_pairs_mut().append_pair("group", group);
        if let Some(topic) = topic {
            url.query_pairs_mut().append_pair("topic", topic);
        }
        read(monitor, send(monitor, self.http.get(url)).await?).await
    }

    /// lag-monitor's last reading of every group.
    pub async fn monitored_groups(&self) -> Result<MonitorReading> {
        let monitor = Workload::LagMonitor;
        let url = format!("{}/groups", self.url(monitor).await?);
        read(monitor, send(monitor, self.http.get(url)).await?).await
    }

    /// The effective configuration of one member, with the source of each value.
    pub async fn controls(&self, instance: &Instance) -> Result<EffectiveConfig> {
        let request = self.http.get(format!("{}/config", instance.url));
        read(instance.workload, send(instance.workload, request).await?).await
    }

    /// Sets controls of one member alone, and returns its effective configuration.
    pub async fn set_controls(
        &self,
        instance: &Instance,
        controls: &GroupControls,
    ) -> Result<EffectiveConfig> {
        let request = self.http.post(format!("{}/config", instance.url));
        let response = send(instance.workload, request.json(controls)).await?;
        read(instance.workload, response).await
    }

    /// The statistics of one member.
    pub async fn stats(&self, instance: &Instance) -> Result<MemberStats> {
        let request = self.http.get(format!("{}/stats", instance.url));
        read(instance.workload, send(instance.workload, request).await?).await
    }

    /// The metrics of a service or tool, in Prometheus' text format.
    pub async fn metrics(&self, workload: impl Into<Workload>) -> Result<String> {
        let workload = workload.into();
        let url = format!("{}/metrics", self.url(workload).await?);
        let body = send(workload, self.http.get(url)).await?.text().await;
        body.with_context(|| format!("the response of {workload} is incomplete"))
    }

    /// The metrics of one instance, in Prometheus' text format.
    pub async fn instance_metrics(&self, instance: &Instance) -> Result<String> {
        let request = self.http.get(format!("{}/metrics", instance.url));
        let body = send(instance.workload, request).await?.text().await;
        body.with_context(|| format!("the response of {} is incomplete", instance.workload))
    }

    /// Sends this JSON text unchanged, and returns the body of the response, whatever its status.
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
        let body = send(service, request).await?.text().await;
        body.with_context(|| format!("the response of {service} is incomplete"))
    }

    async fn find<T: DeserializeOwned>(&self, service: Service, path: &str) -> Result<Option<T>> {
        let url = format!("{}/{path}", self.url(service).await?);
        let response = send(service, self.http.get(url)).await?;
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
            anyhow!("{service} did not answer within {TIMEOUT:?} at {url}: is it paused? ./sandbox status shows it")
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
        .with_context(|| format!("the response of {service} is incomplete"))?;
    if !status.is_success() {
        bail!("{service} refused: {}", refusal(status, &body));
    }
    serde_json::from_slice(&body)
        .with_context(|| format!("{service} sent a response of an unknown form"))
}

/// A problem document in one line; the bare status if the body is none.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<ProblemDocument>(body) {
        Ok(problem) => problem.to_string(),
        Err(_) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_fields_and_their_limits() {
        let body = br#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"the order is not valid",
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
