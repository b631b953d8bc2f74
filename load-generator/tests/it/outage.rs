//! Outages of the broker.

use std::net::TcpListener;

use reqwest::StatusCode;
use serde_json::{Value, json};
use test_stack::{dedicated, eventually};

use crate::support::{Broker, PATIENCE, all_output, output, program, start, wait_for_exit};

#[tokio::test]
async fn a_load_without_its_target_is_one_line_and_exit_code_1() {
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
        let text = all_output(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(says) && text.contains(&address), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[tokio::test]
async fn a_load_ends_when_the_broker_does_not_acknowledge() {
    let stack = dedicated().await;
    let broker = Broker::on(&stack.bootstrap(), "", 3).await;
    // Batches of one order, each acknowledged before the next, so the load is still running when
    // the broker is killed.
    let child = start(broker.command(&["batch", "--batch-size=1", "--batches=1000000", "--json"]));
    eventually(PATIENCE, "orders come", async || {
        match broker.records().await.len() {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    stack.kill_kafka().await;
    let output = wait_for_exit(child).await;
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{summary}");
    assert_eq!(summary["failed"], 1, "{summary}");
    assert!(summary["not_sent"].as_u64().unwrap() > 0, "{summary}");
    assert!(summary["first_failure"].is_string(), "{summary}");
}

#[tokio::test]
async fn the_service_reports_the_outage_of_its_broker_and_recovers() {
    let stack = dedicated().await;
    let broker = Broker::on(&stack.bootstrap(), "", 3).await;
    let service = broker.serve(&[]).await;
    service.wait_until_connected().await;
    stack.stop_kafka().await;
    eventually(
        PATIENCE,
        "the outage is in /health",
        async || match service.get("/health").await {
            (StatusCode::SERVICE_UNAVAILABLE, body) => Ok(body),
            (_, body) => Err(body.to_string()),
        },
    )
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
    service.wait_until_connected().await;
    eventually(
        PATIENCE,
        "orders are produced again",
        async || match service.post("/produce").await {
            (StatusCode::OK, _) => Ok(()),
            (_, body) => Err(body.to_string()),
        },
    )
    .await;
    service.stop().await;
}
