//! payment-service with a payment gateway that fails.

use std::collections::BTreeMap;

use clap::Parser;
use kafka_admin::records::Query;
use payment_gateway::App as GatewayApp;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::eventually;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{PATIENCE, in_saga, order, response_to, run, settings};
use payment_service::Settings;

/// A gateway on a port of its own.
struct Gateway {
    url: Url,
    http: Client,
    shutdown: CancellationToken,
    ended: JoinSet<()>,
}

impl Gateway {
    async fn start() -> Self {
        let settings = payment_gateway::Settings::parse_from(["payment-gateway", "--port=0"]);
        let app = GatewayApp::build(settings).await.unwrap();
        let url = format!("http://{}", app.address().unwrap());
        let shutdown = CancellationToken::new();
        let mut ended = JoinSet::new();
        ended.spawn(app.run(shutdown.clone()));
        Self {
            url: url.parse().unwrap(),
            http: Client::builder().no_proxy().build().unwrap(),
            shutdown,
            ended,
        }
    }

    async fn put(&self, body: &Value) -> (u16, String) {
        let url = self.url.join("behaviour").unwrap();
        let answer = self.http.put(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn behave(&self, body: &Value) {
        let (status, text) = self.put(body).await;
        assert_eq!(status, 200, "{text}");
    }

    async fn totals(&self) -> Value {
        let url = self.url.join("charges").unwrap();
        let answer = self.http.get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended.join_next().await.unwrap().unwrap();
    }
}

async fn settings_with(test: &str, gateway: &Gateway, arguments: &[&str]) -> Settings {
    let own = settings(test).await;
    let mut given = vec![
        "payment-service".to_owned(),
        "--port=0".to_owned(),
        format!("--bootstrap-servers={}", own.kafka.bootstrap_servers),
        format!("--name-prefix={}", own.kafka.name_prefix),
        format!("--payment-gateway-url={}", gateway.url),
        "--retry-backoff-ms=10".to_owned(),
    ];
    given.extend(arguments.iter().map(|one| (*one).to_owned()));
    Settings::try_parse_from(given).unwrap()
}

#[tokio::test]
async fn a_gateway_that_fails_half_of_the_time_charges_every_order_once() {
    for mode in ["--retry=blocking", "--retry=topic"] {
        let gateway = Gateway::start().await;
        gateway.behave(&json!({"fail_percent": 50})).await;
        let test = format!("gateway_{}", mode.trim_start_matches("--retry="));
        let service = run(&settings_with(&test, &gateway, &[mode, "--retry-max=20"]).await).await;
        let mut orders: Vec<_> = (0..60).map(|_| in_saga(order("10.00"))).collect();
        orders.push(in_saga(order("1500.00")));
        service.publish(&orders).await;

        let responses = service.responses(orders.len()).await;
        for order in &orders {
            let response = response_to(order, &responses);
            assert_eq!(
                response.headers.causation_id,
                order.headers.event_id.as_uuid(),
                "{mode}"
            );
        }
        let totals = gateway.totals().await;
        assert_eq!(
            (&totals["charged"], &totals["refused"]),
            (&json!(60), &json!(1))
        );
        service.stop().await;
        gateway.stop().await;
    }
}

#[tokio::test]
async fn after_its_last_retry_a_record_is_a_dead_letter_with_its_place_and_all_its_attempts() {
    let gateway = Gateway::start().await;
    gateway.behave(&json!({"fail_percent": 100})).await;
    let arguments = ["--retry=topic", "--retry-max=2"];
    let service = run(&settings_with("gateway_dead", &gateway, &arguments).await).await;
    service.publish(&[in_saga(order("10.00"))]).await;

    let topic = service.cluster.prefix().topic(Topic::PaymentsDlq);
    let letters = eventually(PATIENCE, "a dead letter", async || {
        let read = service.cluster.read(&topic, &Query::default()).await;
        let records = read.map_err(|error| error.to_string())?;
        match records.len() {
            1 => Ok(records),
            other => Err(format!("{other} dead letters")),
        }
    })
    .await;
    // Of headers with one name the last counts.
    let headers: BTreeMap<_, _> = letters[0]
        .header_pairs()
        .map(|(name, value)| {
            (
                name.to_owned(),
                String::from_utf8_lossy(value.unwrap()).into_owned(),
            )
        })
        .collect();
    let expected = [
        (
            "dlq-original-topic",
            service.cluster.prefix().topic(Topic::Orders),
        ),
        ("dlq-error-class", "retries_exhausted".to_owned()),
        // Three tries in each of three batches: the first, and two from the retry topic.
        ("dlq-attempts", "9".to_owned()),
        ("retry-attempt", "2".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(headers.get(name), Some(&value), "{name}: {headers:?}");
    }
    assert_eq!(headers["dlq-original-offset"], "0");
    service.stop().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_behaviour_out_of_bounds_is_refused_whole() {
    let gateway = Gateway::start().await;
    for (body, field) in [
        (json!({"fail_percent": 101, "away": true}), "fail_percent"),
        (json!({"delay_ms": 30_001, "away": true}), "delay_ms"),
        (json!({"away": "yes"}), "away"),
        (json!({"fails": 1, "away": true}), "fails"),
    ] {
        let (status, text) = gateway.put(&body).await;
        assert_eq!(status, 422, "{text}");
        assert!(text.contains(field), "{text}");
    }
    let url = gateway.url.join("behaviour").unwrap();
    let unchanged: Value = gateway
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        unchanged,
        json!({"fail_percent": 0, "delay_ms": 0, "away": false})
    );
    gateway.stop().await;
}

#[test]
fn a_retry_setting_out_of_bounds_names_the_setting_and_its_limit() {
    for (argument, name, limit) in [
        ("--retry-max=21", "RETRY_MAX", "20"),
        ("--retry-backoff-ms=9", "RETRY_BACKOFF_MS", "10"),
        ("--retry=later", "RETRY", "topic"),
        (
            "--payment-gateway-url=ftp://x",
            "PAYMENT_GATEWAY_URL",
            "http://",
        ),
    ] {
        let (code, said) = crate::process(&[argument], &[]);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(name) && said.contains(limit), "{said}");
    }
}
