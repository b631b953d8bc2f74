//! `POST /burst`: the answers of load-generator, and the problems if load-generator does not
//! answer.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use test_stack::shared;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::test_monitor::{TestMonitor, answer};

/// A server at load-generator's URL that answers each burst with this status and body, where
/// `ASKED` is replaced by the request.
async fn fake_load_generator(
    status: StatusCode,
    body: String,
) -> (String, JoinSet<()>, CancellationToken) {
    let router = Router::new().route(
        "/burst",
        post(async move |Json(asked): Json<Value>| {
            (
                status,
                [("retry-after", "7")],
                body.replace("ASKED", &asked.to_string()),
            )
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "--load-generator-url=http://{}",
        listener.local_addr().unwrap()
    );
    let (mut served, stop) = (JoinSet::new(), CancellationToken::new());
    let end = stop.clone().cancelled_owned();
    served.spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(end)
            .await
            .unwrap()
    });
    (url, served, stop)
}

#[tokio::test]
async fn a_burst_is_forwarded_and_its_answer_or_problem_returned() {
    let stack = shared().await;
    let long = format!("{{\"detail\": \"{}\"}}", "x".repeat(100_000));
    let problem = |detail: &str| json!({"status": 422, "detail": detail}).to_string();
    for (answers, body, status, words) in [
        (
            StatusCode::OK,
            r#"{"asked": ASKED}"#.to_owned(),
            200,
            r#"{"asked":{"count":7,"delay_ms":0}}"#,
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            problem("count must be from 1 to 100000"),
            422,
            "count must be from 1 to 100000",
        ),
        (
            StatusCode::CONFLICT,
            problem("a burst is running"),
            409,
            "a burst is running",
        ),
        (
            StatusCode::OK,
            "<html>".to_owned(),
            502,
            "LOAD_GENERATOR_URL",
        ),
        (
            StatusCode::NOT_FOUND,
            "<html>".to_owned(),
            502,
            "LOAD_GENERATOR_URL",
        ),
        (StatusCode::OK, long, 502, "LOAD_GENERATOR_URL"),
    ] {
        let (url, mut served, stop) = fake_load_generator(answers, body).await;
        let monitor = TestMonitor::with(
            stack.bootstrap(),
            &stack.unique_prefix("burst"),
            &["--port=0", &url],
        )
        .await;
        let burst = monitor
            .request(Method::POST, "/burst")
            .json(&json!({"count": 7, "delay_ms": 0}));
        let (actual, body) = answer(burst).await;
        assert_eq!(actual, status, "{body}");
        assert!(body.to_string().contains(words), "{body}");
        let (actual, body) = answer(
            monitor
                .request(Method::POST, "/burst")
                .json(&json!({"counter": 7})),
        )
        .await;
        assert_eq!(
            (actual, body["errors"][0]["field"].as_str()),
            (422, Some("counter"))
        );
        monitor.stop().await;
        stop.cancel();
        served.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_silent_or_absent_load_generator_is_a_504_or_a_503() {
    let stack = shared().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("--load-generator-url=http://{address}");
    let monitor = TestMonitor::with(
        stack.bootstrap(),
        &stack.unique_prefix("away"),
        &["--port=0", &url],
    )
    .await;
    let burst = || {
        monitor
            .request(Method::POST, "/burst")
            .json(&json!({}))
            .timeout(Duration::from_secs(40))
    };
    let (status, body) = answer(burst()).await;
    assert_eq!(status, 504, "{body}");
    drop(silent);
    let (status, body) = answer(burst()).await;
    assert_eq!(status, 503, "{body}");
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("./sandbox up load-generator"),
        "{body}"
    );
    monitor.stop().await;
}
