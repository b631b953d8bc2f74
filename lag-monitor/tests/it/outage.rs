//! The broker stops and starts again.

use shared_events::Topic;
use test_stack::{dedicated, eventually};

use crate::test_monitor::{DEADLINE, TestMonitor, series};

const LAG: &str = "/lag?group=watched&topic=payments";

#[tokio::test]
async fn without_a_broker_only_the_time_of_the_last_poll_is_reported() {
    let stack = dedicated().await;
    let monitor = TestMonitor::on(&stack.bootstrap(), "outage-").await;
    monitor.publish(Topic::Payments, 0, 7).await;
    monitor.commit("watched", Topic::Payments, 0, 2).await;
    let before_outage = monitor
        .until("the lag is five", LAG, |_, body| body["total_lag"] == 5)
        .await;
    monitor
        .until("it is ready", "/health/ready", |status, _| status == 200)
        .await;
    monitor.metrics().await;

    stack.stop_kafka().await;
    let body = monitor
        .until("there is no current data", LAG, |status, _| status == 503)
        .await;
    let detail = body["detail"].as_str().unwrap();
    let last = detail.rsplit(' ').next().unwrap();
    assert!(
        last >= before_outage["timestamp"].as_str().unwrap(),
        "{detail}"
    );
    assert_eq!(lag_series(&monitor).await, Vec::<String>::new());
    let body = monitor
        .until("it is not ready", "/health/ready", |status, _| {
            status == 503
        })
        .await;
    assert!(body["components"][0]["reason"].is_string(), "{body}");
    let before = errors(&monitor.metrics_now().await);
    eventually(DEADLINE, "errors are counted", async || {
        let now = errors(&monitor.metrics_now().await);
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
    for path in ["/status", "/lag/history", "/recommendations", "/groups"] {
        assert_eq!(monitor.get_now(path).await.0, 503, "{path}");
    }
    let (status, body) = monitor.get_now("/alerts?limit=1").await;
    assert_eq!(status, 200);
    assert!(
        body["alerts"][0]["message"]
            .as_str()
            .unwrap()
            .contains("cannot be read"),
        "{body}"
    );
    assert_eq!(monitor.get_now("/health").await.0, 200);

    stack.start_kafka().await;
    let body = monitor
        .until("the lag is five again", LAG, |status, _| status == 200)
        .await;
    assert_eq!(body["total_lag"], 5, "{body}");
    monitor.metrics().await;
    monitor.stop().await;
}

/// The series that are present only while data is current.
/// Gauges only: a counter keeps its value while the broker is away.
async fn lag_series(monitor: &TestMonitor) -> Vec<String> {
    let metrics = monitor.metrics_now().await;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("kafka_") && !line.contains("_total"));
    lines.map(str::to_owned).collect()
}

fn errors(metrics: &str) -> f64 {
    let all = series(metrics, "lag_monitor_errors_total");
    all.into_iter().map(|(_, value)| value).sum()
}
