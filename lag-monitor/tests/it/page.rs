//! The page as it is sent, what it calls, and who may call it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::shared;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, Lab, answer};

const CONTROLS: &str = "/services/payment-service/controls";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn what_a_browser_shows_may_do_nothing_else() {
    let lab = Lab::new("page").await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/scenarios/consumer-lag", "text/plain; charset=utf-8"),
    ] {
        let response = lab.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        for (name, value) in [
            ("content-type", media_type),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
    }
    let readme = lab.ask(Method::GET, "/scenarios/consumer-lag");
    let readme = readme.send().await.unwrap().text().await.unwrap();
    assert!(readme.starts_with("# "), "{readme}");
    for (path, word) in [
        ("/scenarios/no-such", "consumer-lag"),
        ("/scenarios/..%2Fconsumer-lag", "no such scenario"),
        ("/page/no-such.js", "no such file"),
        ("/page/index.html", "no such file"),
    ] {
        let (status, body) = lab.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(body["detail"].as_str().unwrap().contains(word), "{body}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn no_other_page_reaches_the_page_its_bursts_or_its_controls() {
    let lab = Lab::new("foreign").await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::POST, "/burst"),
        (Method::PUT, CONTROLS),
        (Method::DELETE, CONTROLS),
        (Method::DELETE, "/alerts"),
        (Method::GET, "/events?detail=true"),
    ] {
        let ask = || lab.ask(method.clone(), path).json(&json!({"paused": true}));
        for (header, value, wanted) in [
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("origin", "http://localhost:1", 403),
            ("host", "rebound.example", 421),
        ] {
            let (status, body) = answer(ask().header(header, value)).await;
            assert_eq!(status, wanted, "{method} {path} {header}: {body}");
        }
    }
    // What a form of another page can send, should a browser leave Origin out.
    for (method, path) in [(Method::POST, "/burst"), (Method::PUT, CONTROLS)] {
        let form = lab.ask(method, path).header("content-type", "text/plain");
        let (status, body) = answer(form.body(r#"{"paused": true}"#)).await;
        assert_eq!(status, 415, "{path}: {body}");
    }
    let (_, controls) = lab.get(CONTROLS).await;
    assert_eq!(controls["controls"], json!(null));
    lab.stop().await;
}

#[tokio::test]
async fn with_fifty_who_listen_thirty_two_are_told_and_the_rest_of_the_monitor_answers() {
    let lab = Lab::new("fifty").await;
    lab.commit("watched", Topic::Payments, 0, 0).await;
    lab.until("it is seen", "/lag?group=watched", |status, _| {
        status == 200
    })
    .await;
    let mut streams = Vec::new();
    for n in 0..50 {
        let stream = lab
            .ask(Method::GET, "/events?detail=true")
            .send()
            .await
            .unwrap();
        let wanted = if n < 32 { 200 } else { 503 };
        assert_eq!(stream.status(), wanted, "{n}");
        streams.push(stream);
    }
    for path in [
        "/lag?group=watched",
        "/groups",
        "/alerts",
        "/health/ready",
        CONTROLS,
    ] {
        assert_eq!(lab.get(path).await.0, 200, "{path}");
    }
    for (n, stream) in streams.iter_mut().take(32).enumerate() {
        let mut said = String::new();
        let told = async {
            while !said.contains("event: state") {
                said += &String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap());
            }
        };
        timeout(DEADLINE, told)
            .await
            .unwrap_or_else(|_| panic!("stream {n}"));
    }
    drop(streams);
    lab.stop().await;
}

#[tokio::test]
async fn one_event_has_all_that_the_page_shows_and_the_first_what_was_before() {
    let lab = Lab::new("detail").await;
    lab.commit("watched", Topic::Payments, 0, 2).await;
    lab.publish(Topic::Payments, 0, 5).await;
    let history = "/lag/history?group=watched&topic=payments";
    lab.until("there is a past", history, |_, body| {
        body["count"].as_u64() >= Some(2)
    })
    .await;
    let mut stream = lab
        .ask(Method::GET, "/events?detail=true")
        .send()
        .await
        .unwrap();
    let mut said = String::new();
    while said.matches("\n\n").count() < 2 {
        let piece = timeout(DEADLINE, stream.chunk()).await.unwrap();
        said += &String::from_utf8_lossy(&piece.unwrap().unwrap());
    }
    let mut events = said
        .split("\n\n")
        .map(|event| event.split_once("\ndata: ").unwrap());
    let (name, data) = events.next().unwrap();
    assert_eq!(name, "event: past");
    let past: Value = serde_json::from_str(data).unwrap();
    let (name, data) = events.next().unwrap();
    assert_eq!(name, "event: state");
    let state: Value = serde_json::from_str(data).unwrap();
    let mine = |all: &Value| {
        let all = all["groups"].as_array().unwrap().clone();
        all.into_iter()
            .find(|one| one["group_id"] == lab.name("watched").as_str())
            .unwrap()
    };
    let moments = mine(&past)["moments"].clone();
    let last = moments.as_array().unwrap().last().unwrap();
    assert_eq!(last["partitions"]["0"], 3, "{past}");
    let pair = mine(&state);
    assert_eq!(pair["partitions"]["0"]["lag"], 3, "{pair}");
    assert_eq!(pair["recommendations"][0]["action"], "start the consumers");
    assert_eq!(state["poll_interval_seconds"], 1);
    assert_eq!(
        state["thresholds"],
        json!({"warning": 100, "critical": 500})
    );
    assert!(state["age_seconds"].as_f64() >= Some(0.0), "{state}");
    let members = state["members"].as_array().unwrap();
    assert!(
        members
            .iter()
            .any(|one| one["group_id"] == pair["group_id"] && one["state"] == "Empty")
    );
    assert_eq!(lab.get("/events?detail=much").await.0, 422);
    drop(stream);
    lab.stop().await;
}

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
