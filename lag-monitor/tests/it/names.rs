//! Groups, topics and services that do not exist, and names with unusual characters.

use reqwest::Method;
use shared_events::Topic;
use test_stack::eventually;

use crate::kafka_wire;
use crate::test_monitor::{DEADLINE, TestMonitor, answer, series};

#[tokio::test]
async fn an_invalid_request_is_answered_with_the_valid_choices() {
    let monitor = TestMonitor::new("names").await;
    monitor.commit("both", Topic::Payments, 0, 0).await;
    monitor.commit("both", Topic::Orders, 0, 0).await;
    monitor.commit("one", Topic::Orders, 0, 0).await;
    let (orders, payments) = (monitor.name("orders"), monitor.name("payments"));
    monitor
        .until("the groups are polled", "/lag?group=one", |status, _| {
            status == 200
        })
        .await;
    monitor
        .until(
            "the groups are polled",
            "/lag?group=both&topic=orders",
            |status, _| status == 200,
        )
        .await;
    for (path, status, words) in [
        (
            "/lag",
            404,
            vec!["no group", "inventory-service-group", "there are: "],
        ),
        (
            "/status?group=no-such",
            404,
            vec!["no group no-such", "there are: "],
        ),
        (
            "/lag?group=both",
            400,
            vec!["topic=", orders.as_str(), payments.as_str()],
        ),
        ("/recommendations?group=both", 400, vec!["topic="]),
        (
            "/lag/history?group=one&topic=payments",
            404,
            vec!["does not consume payments", orders.as_str()],
        ),
        (
            "/lag/history?group=one&limit=0",
            422,
            vec!["limit", "1 to 1000"],
        ),
        (
            "/lag/history?group=one&limit=1001",
            422,
            vec!["limit", "1 to 1000"],
        ),
        ("/alerts?limit=x", 422, vec!["limit", "1 to 1000"]),
        ("/alerts?limit=1&limit=2", 422, vec!["limit", "once"]),
        ("/alerts?group=no-such", 404, vec!["no group no-such"]),
        ("/groups?limit=-1", 422, vec!["limit", "1 to 1000"]),
        (
            "/lag?partition=1",
            422,
            vec!["partition is not a parameter"],
        ),
        ("/events?x=1", 422, vec!["x is not a parameter"]),
        (
            "/services/shop/controls",
            404,
            vec!["order-service, payment-service, inventory-service"],
        ),
        ("/nowhere", 404, vec!["no route"]),
    ] {
        let (actual, body) = monitor.get(path).await;
        assert_eq!(actual, status, "{path}: {body}");
        assert_eq!(body["status"], status, "{path}: {body}");
        for word in words {
            assert!(
                body["detail"].as_str().unwrap().contains(word),
                "{path}: no {word:?} in {body}"
            );
        }
    }
    let (status, _) = answer(monitor.request(Method::POST, "/lag")).await;
    assert_eq!(status, 405);
    monitor.stop().await;
}

#[tokio::test]
async fn unusual_group_names_make_short_and_valid_labels() {
    let monitor = TestMonitor::new("labels").await;
    let topic = monitor.name("payments");
    let broker = &monitor.kafka.bootstrap_servers;
    let long = "x".repeat(20_000);
    let unusual = |n: usize| match n % 5 {
        0 => format!("quote\"{n}"),
        1 => format!("line\n{n}\r\u{1b}[31m"),
        2 => format!("back\\slash{n}"),
        3 => format!("{long}{n}"),
        _ => format!("\u{202e}{n}\u{0} ü"),
    };
    for n in 0..300 {
        kafka_wire::commit(
            broker,
            &format!("{}{}", monitor.name(""), unusual(n)),
            &topic,
            0,
            0,
        )
        .await;
    }
    let label = format!("topic=\"{topic}\"");
    let metrics = eventually(DEADLINE, "each group has its series", async || {
        let metrics = monitor.metrics_now().await;
        let mine = |name: &str| {
            let all = series(&metrics, name).into_iter();
            all.filter(|(series, _)| series.contains(&label)).count()
        };
        match (
            mine("kafka_consumer_group_lag"),
            mine("kafka_consumer_group_lag_total"),
        ) {
            (300, 300) => Ok(metrics),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for line in metrics.lines() {
        assert!(line.len() < 700, "{} bytes: {line}", line.len());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let (status, body) = monitor.get("/groups").await;
    assert_eq!(status, 200);
    assert!(
        body.to_string().len() < 600_000,
        "{} bytes",
        body.to_string().len()
    );
    monitor.stop().await;
}
