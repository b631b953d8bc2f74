//! What happens to topics and offsets while they are watched.

use serde_json::Value;
use shared_events::Topic;

use crate::support::Lab;
use crate::wire;

const STATUS: &str = "/status?group=watched&topic=payments";
const LAG: &str = "/lag?group=watched&topic=payments";
/// Made of all that is found, and not of the worst alone as the status is.
const ADVICE: &str = "/recommendations?group=watched&topic=payments";

async fn watched(test: &str) -> Lab {
    let lab = Lab::new(test).await;
    lab.publish(Topic::Payments, 0, 50).await;
    lab.commit("watched", Topic::Payments, 0, 50).await;
    lab.until_rule(STATUS, "keeps_up").await;
    lab
}

#[tokio::test]
async fn offsets_that_are_set_back_are_told_until_they_are_where_they_were() {
    let lab = watched("rewound").await;
    lab.commit("watched", Topic::Payments, 0, 20).await;
    let set_back = |body: &Value| {
        let all = body["recommendations"].as_array().unwrap();
        all.iter()
            .any(|one| one["action"] == "find out who reset the offsets")
    };
    lab.until("they are told to be set back", ADVICE, |status, body| {
        status == 200 && set_back(body)
    })
    .await;
    // Nobody is in the group, and that is the first thing to say.
    lab.until_rule(STATUS, "no_members").await;
    lab.commit("watched", Topic::Payments, 0, 50).await;
    lab.until_rule(STATUS, "keeps_up").await;
    let (_, body) = lab.get(ADVICE).await;
    assert!(!set_back(&body), "{body}");
    lab.stop().await;
}

#[tokio::test]
async fn records_deleted_before_they_were_read_are_lost_and_not_lag() {
    let lab = watched("lost").await;
    lab.publish(Topic::Payments, 0, 30).await;
    let topic = lab.name("payments");
    wire::delete_records(&lab.kafka.bootstrap_servers, &topic, 0, 80).await;
    let body = lab.until_rule(STATUS, "lost_records").await;
    let evidence = body["evidence"].as_str().unwrap();
    assert!(evidence.contains("30 records from offset 50"), "{evidence}");
    let (_, body) = lab.get(LAG).await;
    assert_eq!(body["partitions"]["0"]["lost"], 30, "{body}");
    assert_eq!(body["total_lag"], 0, "{body}");
    lab.stop().await;
}

#[tokio::test]
async fn a_commit_beyond_the_end_is_no_number_but_a_reason() {
    let lab = watched("beyond").await;
    lab.commit("watched", Topic::Payments, 0, 5000).await;
    let body = lab.until_rule(STATUS, "rewound").await;
    let evidence = body["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("5000") && evidence.contains("beyond the end 50"),
        "{evidence}"
    );
    let (_, body) = lab.get(LAG).await;
    assert!(body["partitions"]["0"]["lag"].is_null(), "{body}");
    assert_eq!(
        body["partitions"]["0"]["reason"],
        "committed beyond the end"
    );
    assert!(body["total_lag"].is_null(), "{body}");
    lab.stop().await;
}

#[tokio::test]
async fn a_topic_that_vanishes_while_it_is_watched_is_no_lag_of_zero() {
    let lab = watched("vanished").await;
    lab.commit("watched", Topic::Orders, 0, 0).await;
    lab.until("both topics are seen", "/lag?group=watched", |status, _| {
        status == 400
    })
    .await;
    lab.cluster.delete_topics(&[Topic::Payments]).await.unwrap();
    let body = lab
        .until("the topic is gone", LAG, |status, body| {
            status == 404 || (status == 200 && body["total_lag"].is_null())
        })
        .await;
    assert_ne!(body["total_lag"], 0, "{body}");
    let topic = lab.name("payments");
    let metrics = lab.metrics().await;
    let lag = crate::support::series(&metrics, "kafka_consumer_group_lag");
    assert!(
        !lag.iter().any(|(series, _)| series.contains(&topic)),
        "{lag:?}"
    );
    lab.stop().await;
}
