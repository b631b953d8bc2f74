//! A load over HTTP, to somebody who takes orders as order-service does and notes them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use prometheus::Registry;
use serde_json::{Value, json};
use service_kit::{Requests, server};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{output, program, said};

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<(String, String)>>>);

/// Takes orders; those of the product `refused` it refuses.
async fn take(State(taken): State<Taken>, headers: HeaderMap, body: String) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let refused = body.contains("refused");
    taken.0.lock().unwrap().push((key, body));
    if refused {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::ACCEPTED
    }
}

async fn shop() -> (String, Taken, JoinSet<()>) {
    let taken = Taken::default();
    let router = Router::new()
        .route("/orders", post(take))
        .route("/health/live", get(async || "alive"))
        .with_state(taken.clone());
    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(server::serve(
        listener,
        router,
        Requests::new(&Registry::new()).unwrap(),
        CancellationToken::new(),
        Duration::ZERO,
    ));
    (url, taken, serving)
}

#[tokio::test]
async fn every_order_is_one_request_with_a_key_of_its_own() {
    let (url, taken, _serving) = shop().await;
    let mut expected = 0;
    for asked in [
        &["burst", "--count=600", "--seed=1"][..],
        &["batch", "--batch-size=50", "--batches=4", "--seed=1"],
        &[
            "continuous",
            "--events-per-second=100",
            "--duration=1s",
            "--seed=1",
        ],
    ] {
        let all: Vec<_> = asked
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
            "{asked:?}: {}",
            said(&output)
        );
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["via"], "http", "{summary}");
        assert_eq!(summary["acknowledged"], summary["asked"], "{summary}");
        assert!(summary.get("partitions").is_none(), "{summary}");
        expected += summary["asked"].as_u64().unwrap();
    }
    let taken = taken.0.lock().unwrap();
    assert_eq!(taken.len() as u64, expected);
    // Also those of another load of the same seed: else they would be answers of before.
    let keys: BTreeSet<_> = taken.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), taken.len());
    for (_, body) in taken.iter() {
        let body: Value = serde_json::from_str(body).unwrap();
        let customer = body["customerId"].as_str().unwrap();
        assert!(customer.starts_with("load_"), "{body}");
        let expected = json!({"customerId": customer, "productId": "prod_burst", "quantity": 1, "amount": 10.0});
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn an_order_that_is_refused_has_failed_and_ends_the_burst_with_1() {
    let (url, _taken, _serving) = shop().await;
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
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["acknowledged"], 0, "{summary}");
    assert!(summary["failed"].as_u64().unwrap() > 0, "{summary}");
    assert!(summary["not_sent"].as_u64().unwrap() > 0, "{summary}");
    let why = summary["first_failure"].as_str().unwrap();
    assert!(why.contains("503"), "{why}");
}
