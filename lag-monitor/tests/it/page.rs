//! The page as it is sent, what it calls, and who may call it.

use reqwest::Method;
use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::{eventually, exclusive};
use tokio::time::timeout;

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

/// The first two events of a new stream, each with its name.
async fn greeted(lab: &Lab) -> Vec<(String, Value)> {
    let stream = lab.ask(Method::GET, "/events?detail=true").send().await;
    let (mut stream, mut said) = (stream.unwrap(), String::new());
    while said.matches("\n\n").count() < 2 {
        let piece = timeout(DEADLINE, stream.chunk()).await.unwrap();
        said += &String::from_utf8_lossy(&piece.unwrap().unwrap());
    }
    let events = said.split("\n\n").take(2);
    let split = events.map(|event| event.split_once("\ndata: ").unwrap());
    split
        .map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap()))
        .collect()
}

#[tokio::test]
async fn one_event_has_all_that_the_page_shows_and_the_first_what_was_before() {
    // A broker of its own: of very many groups in trouble an event tells all of only so many.
    let stack = exclusive().await;
    let lab = Lab::on(&stack.bootstrap(), "detail-").await;
    lab.publish(Topic::Payments, 0, 5).await;
    lab.commit("watched", Topic::Payments, 0, 2).await;
    let history = "/lag/history?group=watched&topic=payments";
    lab.until("there is a past", history, |_, body| {
        body["count"].as_u64() >= Some(2)
    })
    .await;
    let (past, state) = eventually(DEADLINE, "a stream begins with figures", async || {
        let events = greeted(&lab).await;
        match &events[..] {
            [(one, past), (other, state)] if other == "event: state" => {
                assert_eq!(one, "event: past");
                Ok((past.clone(), state.clone()))
            }
            _ => Err(format!("{events:?}")),
        }
    })
    .await;
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
    lab.stop().await;
}
