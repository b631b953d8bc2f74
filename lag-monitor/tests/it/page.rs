//! The files of the page, the routes that it calls, and the origins that may call them.

use reqwest::Method;
use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::{dedicated, eventually};
use tokio::time::timeout;

use crate::test_monitor::{DEADLINE, TestMonitor, answer};

const CONTROLS: &str = "/services/payment-service/controls";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn every_static_file_has_the_security_headers() {
    let monitor = TestMonitor::new("page").await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/scenarios/consumer-lag", "text/plain; charset=utf-8"),
    ] {
        let response = monitor.request(Method::GET, path).send().await.unwrap();
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
    let readme = monitor.request(Method::GET, "/scenarios/consumer-lag");
    let readme = readme.send().await.unwrap().text().await.unwrap();
    assert!(readme.starts_with("# "), "{readme}");
    for (path, word) in [
        ("/scenarios/no-such", "consumer-lag"),
        ("/scenarios/..%2Fconsumer-lag", "no such scenario"),
        ("/page/no-such.js", "no such file"),
        ("/page/index.html", "no such file"),
        ("/page/%ff", "no such file"),
        ("/scenarios/%ff", "no such scenario"),
    ] {
        let (status, body) = monitor.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(body["detail"].as_str().unwrap().contains(word), "{body}");
    }
    monitor.stop().await;
}

#[tokio::test]
async fn another_origin_can_call_no_route() {
    let monitor = TestMonitor::new("foreign").await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::POST, "/burst"),
        (Method::PUT, CONTROLS),
        (Method::DELETE, CONTROLS),
        (Method::DELETE, "/alerts"),
        (Method::GET, "/events?detail=true"),
    ] {
        let ask = || {
            monitor
                .request(method.clone(), path)
                .json(&json!({"paused": true}))
        };
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
    // A form of another page can send this, and an old browser may leave Origin out.
    for (method, path) in [(Method::POST, "/burst"), (Method::PUT, CONTROLS)] {
        let form = monitor
            .request(method, path)
            .header("content-type", "text/plain");
        let (status, body) = answer(form.body(r#"{"paused": true}"#)).await;
        assert_eq!(status, 415, "{path}: {body}");
    }
    let (_, controls) = monitor.get(CONTROLS).await;
    assert_eq!(controls["controls"], json!(null));
    monitor.stop().await;
}

#[tokio::test]
async fn with_32_streams_open_every_other_route_still_answers() {
    let monitor = TestMonitor::new("fifty").await;
    monitor.commit("watched", Topic::Payments, 0, 0).await;
    monitor
        .until("the group is polled", "/lag?group=watched", |status, _| {
            status == 200
        })
        .await;
    let mut streams = Vec::new();
    for n in 0..50 {
        let stream = monitor
            .request(Method::GET, "/events?detail=true")
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
        assert_eq!(monitor.get(path).await.0, 200, "{path}");
    }
    for (n, stream) in streams.iter_mut().take(32).enumerate() {
        let mut received = String::new();
        let state = async {
            while !received.contains("event: state") {
                received += &String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap());
            }
        };
        timeout(DEADLINE, state)
            .await
            .unwrap_or_else(|_| panic!("stream {n}"));
    }
    drop(streams);
    monitor.stop().await;
}

/// The first two events of a new stream, each with its name.
async fn first_events(monitor: &TestMonitor) -> Vec<(String, Value)> {
    let stream = monitor
        .request(Method::GET, "/events?detail=true")
        .send()
        .await;
    let (mut stream, mut received) = (stream.unwrap(), String::new());
    while received.matches("\n\n").count() < 2 {
        let chunk = timeout(DEADLINE, stream.chunk()).await.unwrap();
        received += &String::from_utf8_lossy(&chunk.unwrap().unwrap());
    }
    let events = received.split("\n\n").take(2);
    let split = events.map(|event| event.split_once("\ndata: ").unwrap());
    split
        .map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_detailed_stream_starts_with_the_past_and_the_whole_state() {
    // A dedicated broker: an event has the details of a limited number of groups, the worst first.
    let stack = dedicated().await;
    let monitor = TestMonitor::on(&stack.bootstrap(), "detail-").await;
    monitor.publish(Topic::Payments, 0, 5).await;
    monitor.commit("watched", Topic::Payments, 0, 2).await;
    let history = "/lag/history?group=watched&topic=payments";
    monitor
        .until("there are two samples", history, |_, body| {
            body["count"].as_u64() >= Some(2)
        })
        .await;
    let (past, state) = eventually(DEADLINE, "a stream starts with data", async || {
        let events = first_events(&monitor).await;
        match &events[..] {
            [(first, past), (second, state)] if second == "event: state" => {
                assert_eq!(first, "event: past");
                Ok((past.clone(), state.clone()))
            }
            _ => Err(format!("{events:?}")),
        }
    })
    .await;
    let mine = |all: &Value| {
        let all = all["groups"].as_array().unwrap().clone();
        all.into_iter()
            .find(|one| one["group_id"] == monitor.name("watched").as_str())
            .unwrap()
    };
    let samples = mine(&past)["moments"].clone();
    let last = samples.as_array().unwrap().last().unwrap();
    assert_eq!(last["partitions"]["0"]["lag"], 3, "{past}");
    let pair = mine(&state);
    assert_eq!(pair["partitions"]["0"]["lag"], 3, "{pair}");
    let action = &pair["recommendations"][0]["action"];
    assert_eq!(action, "find out whether the group is still used");
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
    assert_eq!(monitor.get("/events?detail=much").await.0, 422);
    monitor.stop().await;
}
