//! A load over HTTP, to a server that accepts orders like order-service and records them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use prometheus::Registry;
use serde_json::{Value, json};
use service_kit::{RequestMetrics, server};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{all_output, output, program};

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<(String, String)>>>);

/// Accepts orders, except those for the product `refused`.
async fn accept(State(received): State<Received>, headers: HeaderMap, body: String) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let refused = body.contains("refused");
    received.0.lock().unwrap().push((key, body));
    if refused {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::ACCEPTED
    }
}

async fn fake_order_service() -> (String, Received, JoinSet<()>) {
    let received = Received::default();
    let router = Router::new()
        .route("/orders", post(accept))
        .route("/health/live", get(async || "alive"))
        .with_state(received.clone());
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(server::serve(
        listener,
        router,
        RequestMetrics::new(&Registry::new()).unwrap(),
        CancellationToken::new(),
        Duration::ZERO,
    ));
    (url, received, serving)
}

#[tokio::test]
async fn every_order_is_one_request_with_its_own_key() {
    let (url, received, _serving) = fake_order_service().await;
    let mut expected = 0;
    for arguments in [
        &["burst", "--count=600", "--seed=1"][..],
        &["batch", "--batch-size=50", "--batches=4", "--seed=1"],
        &[
            "continuous",
            "--events-per-second=100",
            "--duration=1s",
            "--seed=1",
        ],
    ] {
        let all: Vec<_> = arguments
            .iter()
            .copied()
            .chain(["--via=http", "--json"])
            .collect();
        let mut command = program(&all);
        command.env("ORDER_URL", &url);
        let output = output(command).await;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            all_output(&output)
        );
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["via"], "http", "{summary}");
        assert_eq!(summary["acknowledged"], summary["asked"], "{summary}");
        assert!(summary.get("partitions").is_none(), "{summary}");
        expected += summary["asked"].as_u64().unwrap();
    }
    let received = received.0.lock().unwrap();
    assert_eq!(received.len() as u64, expected);
    // Loads with the same seed have different keys as well, or order-service would repeat its
    // earlier answers.
    let keys: BTreeSet<_> = received.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), received.len());
    for (_, body) in received.iter() {
        let body: Value = serde_json::from_str(body).unwrap();
        let customer = body["customerId"].as_str().unwrap();
        assert!(customer.starts_with("load_"), "{body}");
        let expected = json!({"customerId": customer, "productId": "prod_burst", "quantity": 1, "amount": 10.0});
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_refused_order_ends_the_burst_with_exit_code_1() {
    let (url, _received, _serving) = fake_order_service().await;
    let all = [
        "burst",
        "--count=2000",
        "--via=http",
        "--product=refused",
        "--json",
    ];
    let mut command = program(&all);
    command.env("ORDER_URL", &url);
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(1), "{}", all_output(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["acknowledged"], 0, "{summary}");
    assert!(summary["failed"].as_u64().unwrap() > 0, "{summary}");
    assert!(summary["not_sent"].as_u64().unwrap() > 0, "{summary}");
    let reason = summary["first_failure"].as_str().unwrap();
    assert!(reason.contains("503"), "{reason}");
}
