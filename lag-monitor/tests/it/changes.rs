//! Offsets that are reset, records that are deleted, and a topic that is deleted, while the monitor
//! polls them.

use reqwest::Method;
use serde_json::Value;
use shared_events::Topic;

use crate::kafka_wire;
use crate::test_monitor::{TestMonitor, answer};

const STATUS: &str = "/status?group=watched&topic=payments";
const LAG: &str = "/lag?group=watched&topic=payments";
/// Made from all findings, while the status shows the worst only.
const RECOMMENDATIONS: &str = "/recommendations?group=watched&topic=payments";

async fn caught_up_group(test: &str) -> TestMonitor {
    let monitor = TestMonitor::new(test).await;
    monitor.publish(Topic::Payments, 0, 50).await;
    monitor.commit("watched", Topic::Payments, 0, 50).await;
    monitor.until_rule(STATUS, "keeps_up").await;
    monitor
}

#[tokio::test]
async fn reset_offsets_are_reported_until_they_are_restored() {
    let monitor = caught_up_group("rewound").await;
    monitor.commit("watched", Topic::Payments, 0, 20).await;
    let reports_reset = |body: &Value| {
        let all = body["recommendations"].as_array().unwrap();
        all.iter()
            .any(|one| one["action"] == "find out who reset the offsets")
    };
    monitor
        .until("the reset is reported", RECOMMENDATIONS, |status, body| {
            status == 200 && reports_reset(body)
        })
        .await;
    // The worst finding is that the group has no members.
    monitor.until_rule(STATUS, "no_members").await;
    monitor.commit("watched", Topic::Payments, 0, 50).await;
    monitor.until_rule(STATUS, "keeps_up").await;
    let (_, body) = monitor.get(RECOMMENDATIONS).await;
    assert!(!reports_reset(&body), "{body}");
    monitor.stop().await;
}

#[tokio::test]
async fn records_deleted_unread_are_lost_and_not_lag() {
    let monitor = caught_up_group("lost").await;
    monitor.publish(Topic::Payments, 0, 30).await;
    let topic = monitor.name("payments");
    kafka_wire::delete_records(&monitor.kafka.bootstrap_servers, &topic, 0, 80).await;
    let body = monitor.until_rule(STATUS, "lost_records").await;
    let evidence = body["evidence"].as_str().unwrap();
    assert!(evidence.contains("offsets 50 to 79"), "{evidence}");
    let (_, body) = monitor.get(LAG).await;
    assert_eq!(body["partitions"]["0"]["lost_at_most"], 30, "{body}");
    assert_eq!(body["total_lag"], 0, "{body}");

    // The loss stays known after the group has read on, until it is acknowledged.
    monitor.commit("watched", Topic::Payments, 0, 80).await;
    let is_past = |status: u16, body: &Value| {
        status == 200 && body["rule"] == "lost_records" && body["status"] == "warning"
    };
    monitor.until("the loss is past", STATUS, is_past).await;
    let (_, body) = monitor.get("/losses").await;
    let group = monitor.name("watched");
    let losses = body["losses"].as_array().unwrap().iter();
    let mine: Vec<_> = losses
        .filter(|one| one["group_id"] == group.as_str())
        .collect();
    assert_eq!(
        (&mine[0]["first_offset"], &mine[0]["last_offset"]),
        (&50.into(), &79.into())
    );
    let path = "/losses/acknowledge?group=watched&topic=payments";
    let (status, body) = answer(monitor.request(Method::POST, path)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["acknowledged"][0]["records_at_most"], 30, "{body}");
    // At once, without another poll.
    assert_eq!(monitor.get(STATUS).await.1["rule"], "keeps_up");
    let unknown = "/losses/acknowledge?group=no-such-group";
    assert_eq!(answer(monitor.request(Method::POST, unknown)).await.0, 404);
    monitor.stop().await;
}

#[tokio::test]
async fn a_commit_beyond_the_end_has_a_reason_and_no_lag() {
    let monitor = caught_up_group("beyond").await;
    monitor.commit("watched", Topic::Payments, 0, 5000).await;
    let body = monitor.until_rule(STATUS, "rewound").await;
    let evidence = body["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("5000") && evidence.contains("beyond the end 50"),
        "{evidence}"
    );
    let (_, body) = monitor.get(LAG).await;
    assert!(body["partitions"]["0"]["lag"].is_null(), "{body}");
    assert_eq!(
        body["partitions"]["0"]["reason"],
        "committed beyond the end"
    );
    assert!(body["total_lag"].is_null(), "{body}");
    monitor.stop().await;
}

#[tokio::test]
async fn a_deleted_topic_does_not_have_lag_zero() {
    let monitor = caught_up_group("vanished").await;
    monitor.commit("watched", Topic::Orders, 0, 0).await;
    monitor
        .until(
            "both topics are polled",
            "/lag?group=watched",
            |status, _| status == 400,
        )
        .await;
    monitor
        .cluster
        .delete_topics(&[Topic::Payments])
        .await
        .unwrap();
    let body = monitor
        .until("the topic is deleted", LAG, |status, body| {
            status == 404 || (status == 200 && body["total_lag"].is_null())
        })
        .await;
    assert_ne!(body["total_lag"], 0, "{body}");
    let topic = monitor.name("payments");
    let metrics = monitor.metrics().await;
    let lag = crate::test_monitor::series(&metrics, "kafka_consumer_group_lag");
    assert!(
        !lag.iter().any(|(series, _)| series.contains(&topic)),
        "{lag:?}"
    );
    monitor.stop().await;
}
