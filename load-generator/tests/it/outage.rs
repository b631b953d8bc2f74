//! Without a broker.

use std::net::TcpListener;

use reqwest::StatusCode;
use serde_json::{Value, json};
use test_stack::{eventually, exclusive};

use crate::support::{Broker, PATIENCE, ended, output, program, said, start};

#[tokio::test]
async fn without_anybody_there_a_load_is_one_line_and_ends_with_1() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    for (via, says) in [
        ("kafka", "no Kafka broker answers"),
        ("http", "no order-service answers"),
    ] {
        let mut command = program(&["burst", "--via", via]);
        command.env("KAFKA_BOOTSTRAP_SERVERS", &address);
        command.env("ORDER_URL", format!("http://{address}"));
        let output = output(command).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(says) && text.contains(&address), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[tokio::test]
async fn orders_that_a_broker_does_not_acknowledge_have_failed_and_the_rest_is_not_sent() {
    let stack = exclusive().await;
    let broker = Broker::on(&stack.bootstrap(), "", 3).await;
    // Batches of one, each acknowledged before the next: it is still at it when the broker goes.
    let child = start(broker.command(&["batch", "--batch-size=1", "--batches=1000000", "--json"]));
    eventually(PATIENCE, "orders come", async || {
        match broker.records().await.len() {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    stack.kill_kafka().await;
    let output = ended(child).await;
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{summary}");
    assert_eq!(summary["failed"], 1, "{summary}");
    assert!(summary["not_sent"].as_u64().unwrap() > 0, "{summary}");
    assert!(summary["first_failure"].is_string(), "{summary}");
}

#[tokio::test]
async fn the_service_says_that_its_broker_is_away_and_that_it_is_back() {
    let stack = exclusive().await;
    let broker = Broker::on(&stack.bootstrap(), "", 3).await;
    let service = broker.serve(&[]).await;
    service.connected().await;
    stack.stop_kafka().await;
    eventually(PATIENCE, "the outage is told", async || {
        match service.get("/health").await {
            (StatusCode::SERVICE_UNAVAILABLE, body) => Ok(body),
            (_, body) => Err(body.to_string()),
        }
    })
    .await;
    let (status, body) = service.get("/health").await;
    assert_eq!(status, 503);
    let expected =
        json!({"status": "unhealthy", "service": "load-generator", "kafka_connected": false});
    assert_eq!(body, expected);
    assert_eq!(service.get("/health/ready").await.0, 503);
    assert_eq!(service.get("/config").await.0, 200);
    for path in ["/produce", "/produce/batch?count=1", "/burst"] {
        let (status, problem) = service.post(path).await;
        assert_eq!(status, 503, "{path}: {problem}");
        assert_eq!(problem["detail"], "no Kafka broker is reached", "{path}");
    }
    stack.start_kafka().await;
    service.connected().await;
    eventually(PATIENCE, "orders are made again", async || {
        match service.post("/produce").await {
            (StatusCode::OK, _) => Ok(()),
            (_, body) => Err(body.to_string()),
        }
    })
    .await;
    service.stop().await;
}
