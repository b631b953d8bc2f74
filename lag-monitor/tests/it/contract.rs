//! The contract of each route: path, parameters, names and types of fields, status.

use reqwest::Method;
use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::eventually;

use crate::test_monitor::{DEADLINE, TestMonitor, answer, series};

/// Fails unless the value has the shape: an object the same fields, an array elements of one shape.
/// A text names a type, or several with `|`.
fn check(path: &str, value: &Value, shape: &Value) {
    match shape {
        Value::Object(fields) => {
            let actual: Vec<&String> = value
                .as_object()
                .unwrap_or_else(|| panic!("{path}: {value}"))
                .keys()
                .collect();
            let expected: Vec<&String> = fields.keys().collect();
            assert_eq!(actual, expected, "{path}");
            fields
                .iter()
                .for_each(|(name, shape)| check(&format!("{path}.{name}"), &value[name], shape));
        }
        Value::Array(shapes) => {
            let all = value
                .as_array()
                .unwrap_or_else(|| panic!("{path}: {value}"));
            assert!(!all.is_empty(), "{path} is empty");
            all.iter().for_each(|one| check(path, one, &shapes[0]));
        }
        Value::String(kind) => {
            let matches = kind.split('|').any(|kind| match kind {
                "text" => value.is_string(),
                "integer" => value.is_i64(),
                "number" => value.is_number(),
                "bool" => value.is_boolean(),
                "null" => value.is_null(),
                "object" => value.is_object(),
                "time" => value
                    .as_str()
                    .is_some_and(|text| text.parse::<chrono::DateTime<chrono::Utc>>().is_ok()),
                "list" => value.is_array(),
                literal => value == literal,
            });
            assert!(matches, "{path} is {value} and not {kind}");
        }
        literal => assert_eq!(value, literal, "{path}"),
    }
}

fn shapes() -> Vec<(&'static str, Value)> {
    let thresholds = json!({"warning": 100, "critical": 500});
    let partition = json!({
        "lag": "integer", "lag_at_least": "integer", "lag_at_most": "integer", "reason": "null", "committed_offset": "integer", "stable_offset": "integer",
        "end_offset": "integer", "control_records": "integer", "aborted_records": "integer", "beyond_stable": "integer",
        "compacted": "integer", "lost": "integer", "lost_at_least": "integer", "lost_at_most": "integer", "oldest_unread_seconds": "number|null",
        "owner": {"client_id": "text", "member_id": "text", "host": "text"},
    });
    let status = "ok|warning|critical|unknown";
    let alert = json!({
        "level": status, "message": "text", "timestamp": "time", "ended_at": "time|null", "total_lag": "integer|null", "total_lag_at_least": "integer|null", "total_lag_at_most": "integer|null", "group_id": "text", "topic": "text",
    });
    let lag = json!({
        "topic": "text", "group_id": "text", "total_lag": "integer", "total_lag_at_least": "integer", "total_lag_at_most": "integer", "status": status, "rate_of_change": "number",
        "partitions": {"0": partition, "1": partition, "2": partition}, "thresholds": thresholds, "timestamp": "time",
    });
    let member = json!({"client_id": "text", "member_id": "text", "instance_id": "null|text", "host": "text", "owns": "object"});
    vec![
        (
            "/health",
            json!({"status": "healthy", "service": "lag-monitor"}),
        ),
        ("/lag", lag.clone()),
        ("/lag?group=inventory-service-group&topic=payments", lag),
        (
            "/lag/history?limit=2",
            json!({
                "topic": "text", "group_id": "text", "count": 2,
                "history": [{"timestamp": "time", "total_lag": "integer|null", "total_lag_at_least": "integer|null", "total_lag_at_most": "integer|null", "status": status}],
            }),
        ),
        (
            // The newest alert may be about the cluster, which has no group.
            "/alerts?limit=1&group=inventory-service-group&topic=payments",
            json!({"alerts": [alert.clone()], "count": 1}),
        ),
        (
            "/status",
            json!({
                "topic": "text", "group_id": "text", "total_lag": "integer", "total_lag_at_least": "integer", "total_lag_at_most": "integer", "status": "critical", "rule": "above_critical",
                "evidence": "text", "findings": [{"status": status, "rule": "text", "evidence": "text"}], "last_poll": "time", "thresholds": thresholds, "recent_alerts": [alert],
            }),
        ),
        (
            "/recommendations",
            json!({
                "total_lag": "integer", "total_lag_at_least": "integer", "total_lag_at_most": "integer", "rate_of_change": "number",
                "recommendations": [{"priority": "high|medium|low", "action": "text", "reason": "text", "command": "text|null"}],
            }),
        ),
        ("/losses", json!({"losses": "list"})),
        (
            "/transactions",
            json!({"timestamp": "time", "open": "integer", "hanging_count": "integer", "hanging": "list"}),
        ),
        (
            "/groups",
            json!({
                "count": "integer", "timestamp": "time",
                "groups": "list",
            }),
        ),
        (
            "/groups#mine",
            json!({
                "group_id": "text", "state": "text", "protocol": "classic|consumer", "member_count": 1, "members": [member], "instances": "list",
                "topics": "list", "total_lag": "integer|null", "total_lag_at_least": "integer|null", "total_lag_at_most": "integer|null", "status": status, "rule": "text", "evidence": "text",
                "rate_of_change": "number|null", "consumed_per_second": "number|null", "produced_per_second": "number|null",
                "time_to_drain_seconds": "number|null", "partition_rates": "object",
            }),
        ),
    ]
}

#[tokio::test]
async fn every_route_answers_as_documented() {
    let monitor = TestMonitor::new("contract").await;
    // First, since the first search may take longer than it takes until a group with lag counts as stalled.
    let is_answered = |status: u16, _: &Value| status == 200;
    monitor
        .until("transactions are listed", "/transactions", is_answered)
        .await;
    for partition in 0..3 {
        monitor
            .commit("inventory-service-group", Topic::Payments, partition, 0)
            .await;
    }
    let member = monitor.member();
    member.controls().pause();
    for partition in 0..3 {
        monitor.publish(Topic::Payments, partition, 200).await;
    }
    monitor
        .until(
            "the lag is 600, and the member owns all partitions",
            "/lag",
            |status, body| {
                let owned = |n: &str| body["partitions"][n]["owner"].is_object();
                status == 200
                    && body["total_lag"] == 600
                    && ["0", "1", "2"].into_iter().all(owned)
                    && body["rate_of_change"].is_number()
            },
        )
        .await;
    monitor
        .until("there are two samples", "/lag/history", |_, body| {
            body["count"].as_u64() >= Some(2)
        })
        .await;
    for (path, shape) in shapes() {
        // A reading fails while another test deletes a topic, and the last one may then be too old.
        let body = monitor.until(path, path, is_answered).await;
        match path.ends_with("#mine") {
            false => check(path, &body, &shape),
            true => {
                let name = monitor.name("inventory-service-group");
                let all = body["groups"].as_array().unwrap();
                let mine = all
                    .iter()
                    .find(|one| one["group_id"] == name.as_str())
                    .unwrap();
                check(path, mine, &shape);
            }
        }
    }

    let (status, body) = answer(monitor.request(Method::DELETE, "/alerts")).await;
    assert_eq!((status, body), (200, json!({"alerts": [], "count": 0})));
    metrics_are_present(&monitor).await;
    member.stopper()();
    member.ended().await.unwrap();
    a_caught_up_group_has_time_to_drain_zero(&monitor).await;
    monitor.stop().await;
}

const DRAIN: &str = "kafka_consumer_group_time_to_drain_seconds";

/// This series is absent while the lag is constant.
async fn a_caught_up_group_has_time_to_drain_zero(monitor: &TestMonitor) {
    let group = monitor.name("inventory-service-group");
    let topic = monitor.name("payments");
    for partition in 0..3 {
        monitor
            .commit("inventory-service-group", Topic::Payments, partition, 200)
            .await;
    }
    let wanted = format!("{DRAIN}{{group_id=\"{group}\",topic=\"{topic}\"}}");
    eventually(DEADLINE, "the group is caught up", async || {
        let metrics = monitor.metrics_now().await;
        let mut found = series(&metrics, DRAIN).into_iter();
        match found.find(|(series, _)| *series == wanted) {
            Some((_, 0.0)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn metrics_are_present(monitor: &TestMonitor) {
    let group = monitor.name("inventory-service-group");
    let topic = monitor.name("payments");
    // The rate is over a window of some readings, and the first of them is older than the records.
    let nothing_arrives = format!(
        "kafka_consumer_group_produced_per_second{{group_id=\"{group}\",topic=\"{topic}\"}} 0\n"
    );
    let metrics = eventually(DEADLINE, "nothing arrives any more", async || {
        let metrics = monitor.metrics_now().await;
        match metrics.contains(&nothing_arrives) {
            true => Ok(metrics),
            false => Err(metrics),
        }
    })
    .await;
    let pair = format!("{{group_id=\"{group}\",topic=\"{topic}\"}}");
    let partition = |n| format!("{{group_id=\"{group}\",partition=\"{n}\",topic=\"{topic}\"}}");
    for (name, labels, value) in [
        ("kafka_consumer_group_lag", partition(1), Some(200.0)),
        ("kafka_partition_committed_offset", partition(2), Some(0.0)),
        (
            "kafka_consumer_group_partition_stalled",
            partition(1),
            Some(0.0),
        ),
        ("kafka_consumer_group_lag_total", pair.clone(), Some(600.0)),
        ("kafka_lag_status", pair.clone(), Some(2.0)),
        ("kafka_lag_rate_of_change", pair.clone(), None),
        (
            "kafka_consumer_group_produced_per_second",
            pair.clone(),
            Some(0.0),
        ),
        (
            "kafka_consumer_group_consumed_per_second",
            pair.clone(),
            Some(0.0),
        ),
        (
            "kafka_consumer_group_seconds_without_commit_total",
            format!("{{group_id=\"{group}\"}}"),
            None,
        ),
        ("kafka_consumer_group_oldest_unread_seconds", pair, None),
        (
            "kafka_partition_end_offset",
            format!("{{partition=\"0\",topic=\"{topic}\"}}"),
            Some(200.0),
        ),
        ("lag_monitor_polls_total", String::new(), None),
        (
            "lag_monitor_errors_total",
            "{error_type=\"timeout\"}".to_owned(),
            None,
        ),
        (
            "lag_monitor_last_success_timestamp_seconds",
            String::new(),
            None,
        ),
    ] {
        let wanted = format!("{name}{labels}");
        let found = series(&metrics, name)
            .into_iter()
            .find(|(series, _)| *series == wanted);
        let (_, found) = found.unwrap_or_else(|| panic!("no {wanted} in {metrics}"));
        assert!(
            value.is_none_or(|value| value == found),
            "{wanted} is {found}"
        );
    }
    let drained = series(&metrics, DRAIN).into_iter();
    let mut mine = drained.filter(|(series, _)| series.contains(&group));
    assert_eq!(mine.next(), None, "a constant lag has no time to drain");
    let absent = monitor.name("order-service-group");
    assert!(
        !metrics.contains(&absent),
        "a group that does not exist has no series"
    );
    let (_, lag) = monitor
        .get("/lag?group=inventory-service-group&topic=payments")
        .await;
    let member = lag["partitions"]["0"]["owner"]["member_id"].as_str();
    let member = member.unwrap_or_else(|| panic!("partition 0 has no owner: {lag}"));
    assert!(!metrics.contains(member), "a member's id is in no label");
}
