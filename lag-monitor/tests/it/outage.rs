//! The broker goes away and comes back.

use shared_events::Topic;
use test_stack::{eventually, exclusive};

use crate::support::{DEADLINE, Lab, series};

const LAG: &str = "/lag?group=watched&topic=payments";

#[tokio::test]
async fn without_a_broker_there_are_no_figures_but_the_time_of_the_last() {
    let stack = exclusive().await;
    let lab = Lab::on(&stack.bootstrap(), "outage-").await;
    lab.publish(Topic::Payments, 0, 7).await;
    lab.commit("watched", Topic::Payments, 0, 2).await;
    let seen = lab
        .until("five records wait", LAG, |_, body| body["total_lag"] == 5)
        .await;
    lab.until("it is ready", "/health/ready", |status, _| status == 200)
        .await;
    lab.metrics().await;

    stack.stop_kafka().await;
    let body = lab
        .until("there are no figures", LAG, |status, _| status == 503)
        .await;
    let detail = body["detail"].as_str().unwrap();
    let last = detail.rsplit(' ').next().unwrap();
    assert!(last >= seen["timestamp"].as_str().unwrap(), "{detail}");
    assert_eq!(lag_series(&lab).await, Vec::<String>::new());
    let body = lab
        .until("it is not ready", "/health/ready", |status, _| {
            status == 503
        })
        .await;
    assert!(body["components"][0]["reason"].is_string(), "{body}");
    let before = errors(&lab.metrics_now().await);
    eventually(DEADLINE, "errors are counted", async || {
        let now = errors(&lab.metrics_now().await);
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
    for path in ["/status", "/lag/history", "/recommendations", "/groups"] {
        assert_eq!(lab.get_now(path).await.0, 503, "{path}");
    }
    let (status, body) = lab.get_now("/alerts?limit=1").await;
    assert_eq!(status, 200);
    assert!(
        body["alerts"][0]["message"]
            .as_str()
            .unwrap()
            .contains("cannot be read"),
        "{body}"
    );
    assert_eq!(lab.get_now("/health").await.0, 200);

    stack.start_kafka().await;
    let body = lab
        .until("five records wait again", LAG, |status, _| status == 200)
        .await;
    assert_eq!(body["total_lag"], 5, "{body}");
    lab.metrics().await;
    lab.stop().await;
}

/// The series that are there only while figures count.
async fn lag_series(lab: &Lab) -> Vec<String> {
    let metrics = lab.metrics_now().await;
    let lines = metrics.lines().filter(|line| line.starts_with("kafka_"));
    lines.map(str::to_owned).collect()
}

fn errors(metrics: &str) -> f64 {
    let all = series(metrics, "lag_monitor_errors_total");
    all.into_iter().map(|(_, value)| value).sum()
}
