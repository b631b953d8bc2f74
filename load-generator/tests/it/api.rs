//! The HTTP API of the service.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shared_events::OrderCreated;
use test_stack::eventually;

use crate::support::{Broker, PATIENCE, RunningService, answer, order};

/// The service, connected to a topic of its own with three partitions.
pub async fn connected_service(test: &str, more: &[&str]) -> (Broker, RunningService) {
    let broker = Broker::new(test, 3).await;
    let service = broker.serve(more).await;
    service.wait_until_connected().await;
    (broker, service)
}

#[tokio::test]
async fn health_and_readiness_include_the_broker() {
    let (_, service) = connected_service("api_health", &[]).await;
    let (status, body) = service.get("/health").await;
    let expected =
        json!({"status": "healthy", "service": "load-generator", "kafka_connected": true});
    assert_eq!((status, body), (StatusCode::OK, expected));
    assert_eq!(service.get("/health/live").await.0, 200);
    let (status, body) = service.get("/health/ready").await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ready")));
    service.stop().await;
}

#[tokio::test]
async fn each_setting_has_its_default_and_can_be_changed_alone() {
    let (broker, service) = connected_service("api_config", &[]).await;
    let topic = format!("{}orders", broker.kafka.name_prefix);
    let defaults = json!({"rate_ms": 100, "batch_size": 1, "running": false, "topic": topic});
    assert_eq!(
        service.get("/config").await,
        (StatusCode::OK, defaults.clone())
    );
    for body in [json!({}), json!({"running": false})] {
        let answer = service.post_json("/config", &body).await;
        assert_eq!(answer, (StatusCode::OK, defaults.clone()), "{body}");
    }
    assert_eq!(service.post("/config").await, (StatusCode::OK, defaults));
    for (change, field) in [
        (json!({"rate_ms": 60_000}), "rate_ms"),
        (json!({"batch_size": 7}), "batch_size"),
        (json!({"running": true}), "running"),
    ] {
        let (status, now) = service.post_json("/config", &change).await;
        assert_eq!((status, &now[field]), (StatusCode::OK, &change[field]));
        assert_eq!(service.get("/config").await.1, now);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_single_order_is_answered_when_it_is_in_the_topic() {
    let (broker, service) = connected_service("api_produce", &[]).await;
    let (status, body) = service.post("/produce").await;
    assert_eq!(
        (status, &body["success"]),
        (StatusCode::OK, &json!(true)),
        "{body}"
    );
    let produced: OrderCreated = serde_json::from_value(body["order"].clone()).unwrap();
    let records = broker.records().await;
    assert_eq!(records.iter().map(order).collect::<Vec<_>>(), [produced]);
    service.stop().await;
}

#[tokio::test]
async fn batches_and_bursts_are_answered_with_their_counts() {
    let (broker, service) = connected_service("api_burst", &[]).await;
    let batch = service.post("/produce/batch?count=37").await;
    let expected = json!({"total": 37, "successful": 37, "failed": 0});
    assert_eq!(batch, (StatusCode::OK, expected));

    let request = json!({"count": 250, "delay_ms": 20});
    let (status, body) = service.post_json("/burst", &request).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["total"], &body["successful"], &body["failed"]),
        (&json!(250), &json!(250), &json!(0))
    );
    // One pause after 100 orders and one after 200.
    let seconds = body["duration_seconds"].as_f64().unwrap();
    assert!(seconds >= 0.04, "{body}");
    let rate = body["messages_per_second"].as_f64().unwrap();
    assert!((rate - 250.0 / seconds).abs() < 0.001, "{body}");
    assert_eq!(body.as_object().unwrap().len(), 5, "{body}");

    let (_, body) = service.post("/burst").await;
    assert_eq!(body["total"], 1000, "{body}");
    assert_eq!(broker.orders().await.len(), 37 + 250 + 1000);
    let topic = format!("{}orders", broker.kafka.name_prefix);
    let count = format!("kafka_messages_produced_total{{topic=\"{topic}\"}}");
    assert_eq!(service.metric(&count).await, Some(1287.0));
    service.stop().await;
}

#[tokio::test]
async fn the_auto_producer_can_be_started_and_stopped() {
    let (broker, service) =
        connected_service("api_auto", &["--production-rate-ms=10", "--batch-size=3"]).await;
    let running = "kafka_auto_producer_running";
    assert_eq!(service.metric(running).await, Some(0.0));
    for status in ["started", "already_running"] {
        let expected = json!({"status": status, "rate_ms": 10, "batch_size": 3});
        assert_eq!(service.post("/start").await, (StatusCode::OK, expected));
    }
    assert_eq!(service.metric(running).await, Some(1.0));
    eventually(PATIENCE, "batches of three come", async || {
        match broker.orders().await.len() {
            0..9 => Err("too few"),
            _ => Ok(()),
        }
    })
    .await;
    let topic = format!("{}orders", broker.kafka.name_prefix);
    let rate = format!("kafka_production_rate_per_second{{topic=\"{topic}\"}}");
    eventually(PATIENCE, "a rate is measured", async || {
        match service.metric(&rate).await {
            Some(rate) if rate > 0.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for _ in 0..2 {
        let expected = json!({"status": "stopped"});
        assert_eq!(service.post("/stop").await, (StatusCode::OK, expected));
    }
    assert_eq!(service.metric(running).await, Some(0.0));
    assert_eq!(service.get("/config").await.1["running"], false);
    service.stop().await;
}

#[tokio::test]
async fn auto_produce_starts_the_auto_producer_with_the_service() {
    let (broker, service) = connected_service("api_at_start", &["--auto-produce=true"]).await;
    eventually(PATIENCE, "an order comes", async || {
        match broker.orders().await.len() {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn one_load_runs_at_a_time_and_single_orders_beside_it() {
    let (_, service) = connected_service("api_conflict", &[]).await;
    service.post("/start").await;
    for path in ["/burst", "/produce/batch?count=1"] {
        let (status, problem) = service.post(path).await;
        assert_eq!(status, 409, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("POST /stop first"), "{problem}");
    }
    assert_eq!(service.post("/produce").await.0, 200);
    service.post("/stop").await;

    let request = json!({"count": 600, "delay_ms": 1000});
    let burst = answer(service.request(Method::POST, "/burst").json(&request));
    let beside = async {
        eventually(PATIENCE, "the burst is running", async || {
            match service.post("/produce/batch?count=1").await {
                (StatusCode::CONFLICT, problem) => Ok(problem),
                (status, _) => Err(status.to_string()),
            }
        })
        .await;
        for path in ["/burst", "/start"] {
            let (status, problem) = service.post(path).await;
            assert_eq!(status, 409, "{path}: {problem}");
        }
        let on = json!({"running": true});
        assert_eq!(service.post_json("/config", &on).await.0, 409);
        let rate = json!({"rate_ms": 50});
        assert_eq!(service.post_json("/config", &rate).await.0, 200);
        assert_eq!(service.post("/stop").await.0, 200);
        assert_eq!(service.post("/produce").await.0, 200);
    };
    let ((_, body), ()) = tokio::join!(burst, beside);
    // A burst sends for 8 s, which on a slow machine may not be enough for all orders.
    let [successful, failed] = ["successful", "failed"].map(|name| body[name].as_u64().unwrap());
    assert_eq!(successful + failed, 600, "{body}");
    let gave_up = body["duration_seconds"].as_f64() > Some(7.0);
    assert!(failed == 0 || gave_up, "{body}");
    // The permit is returned.
    assert_eq!(service.post("/produce/batch?count=1").await.0, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_burst_ends_when_its_client_disconnects() {
    let (_, service) = connected_service("api_gone", &[]).await;
    let request = json!({"count": 600, "delay_ms": 1000});
    let burst = service.request(Method::POST, "/burst").json(&request);
    let burst = burst.timeout(std::time::Duration::from_millis(300)).send();
    assert!(burst.await.unwrap_err().is_timeout());
    eventually(PATIENCE, "another load can run", async || {
        match service.post("/produce/batch?count=1").await {
            (StatusCode::OK, _) => Ok(()),
            (status, _) => Err(status.to_string()),
        }
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn every_metric_is_there_before_the_first_order() {
    let (broker, service) = connected_service("api_metrics", &[]).await;
    let topic = format!("{{topic=\"{}orders\"}}", broker.kafka.name_prefix);
    for name in [
        "kafka_messages_produced_total",
        "kafka_production_errors_total",
        "kafka_production_latency_seconds_count",
        "kafka_production_rate_per_second",
    ] {
        assert_eq!(
            service.metric(&format!("{name}{topic}")).await,
            Some(0.0),
            "{name}"
        );
    }
    assert_eq!(
        service.metric("kafka_auto_producer_running").await,
        Some(0.0)
    );
    service.stop().await;
}
