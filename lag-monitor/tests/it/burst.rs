//! A burst asked of the monitor: what load-generator says to it, or that there is none.

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

use crate::support::{Lab, answer};

/// What stands where load-generator should be, and answers each burst with this.
async fn instead(status: StatusCode, body: String) -> (String, JoinSet<()>, CancellationToken) {
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
async fn a_burst_is_passed_on_with_its_answer_or_its_refusal() {
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
            problem("a burst is on its way"),
            409,
            "a burst is on its way",
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
        let (url, mut served, stop) = instead(answers, body).await;
        let lab = Lab::with(
            stack.bootstrap(),
            &stack.unique_prefix("burst"),
            &["--port=0", &url],
        )
        .await;
        let burst = lab
            .ask(Method::POST, "/burst")
            .json(&json!({"count": 7, "delay_ms": 0}));
        let (found, body) = answer(burst).await;
        assert_eq!(found, status, "{body}");
        assert!(body.to_string().contains(words), "{body}");
        let (found, body) =
            answer(lab.ask(Method::POST, "/burst").json(&json!({"counter": 7}))).await;
        assert_eq!(
            (found, body["errors"][0]["field"].as_str()),
            (422, Some("counter"))
        );
        lab.stop().await;
        stop.cancel();
        served.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_load_generator_that_is_not_there_or_says_nothing_is_a_problem_that_says_so() {
    let stack = shared().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("--load-generator-url=http://{address}");
    let lab = Lab::with(
        stack.bootstrap(),
        &stack.unique_prefix("away"),
        &["--port=0", &url],
    )
    .await;
    let burst = || {
        lab.ask(Method::POST, "/burst")
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
    lab.stop().await;
}
