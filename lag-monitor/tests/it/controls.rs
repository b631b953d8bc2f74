//! `/services/{service}/controls` and `/services/{service}/autoscaler`: the settings of a group, and what its autoscaler reports.

use reqwest::Method;
use serde_json::json;

use crate::test_monitor::{TestMonitor, answer};

const PATH: &str = "/services/inventory-service/controls";

#[tokio::test]
async fn group_controls_are_shown_replaced_and_cleared() {
    let monitor = TestMonitor::new("controls").await;
    let nothing = json!({"service": "inventory-service", "controls": null});
    assert_eq!(monitor.get(PATH).await, (200, nothing.clone()));

    let put = |body| answer(monitor.request(Method::PUT, PATH).json(&body));
    let slow = json!({"service": "inventory-service", "controls": {"processing_time_ms": 300, "batch_max": 1}});
    assert_eq!(
        put(json!({"processing_time_ms": 300})).await,
        (200, slow.clone())
    );
    assert_eq!(monitor.get(PATH).await, (200, slow));
    let paused = json!({"service": "inventory-service", "controls": {"paused": true}});
    assert_eq!(put(json!({"paused": true})).await, (200, paused.clone()));
    assert_eq!(monitor.get(PATH).await, (200, paused));
    let other = monitor.get("/services/payment-service/controls").await;
    assert_eq!(other.1["controls"], json!(null));

    for (body, word) in [
        (json!({}), "processing_time_ms"),
        (json!({"processing_time_ms": 120_001}), "0 to 120000"),
        (json!({"crash_at": "nowhere"}), "one of the crash points"),
        (json!({"batch_max": 0}), "1 to 10000"),
        (json!({"paused": "yes"}), "paused"),
        (json!({"colour": 1}), "colour is not a field"),
    ] {
        let (status, problem) = put(body).await;
        assert_eq!(status, 422, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(word),
            "{problem}"
        );
    }
    assert_eq!(
        answer(monitor.request(Method::DELETE, PATH)).await,
        (200, nothing.clone())
    );
    assert_eq!(monitor.get(PATH).await, (200, nothing));
    monitor.stop().await;
}

#[tokio::test]
async fn a_report_of_an_autoscaler_is_shown_and_a_wrong_one_is_refused() {
    const PATH: &str = "/services/inventory-service/autoscaler";
    let monitor = TestMonitor::new("autoscaler").await;
    let nothing = json!({"service": "inventory-service", "autoscaler": null});
    assert_eq!(monitor.get(PATH).await, (200, nothing));
    let put = |body| answer(monitor.request(Method::PUT, PATH).json(&body));
    let report = json!({"desired": 3, "actual": 1, "reason": "partitions", "explanation": "lag 912 / 300", "valid_seconds": 30});
    let shown = json!({"service": "inventory-service", "autoscaler": report});
    assert_eq!(put(report.clone()).await, (200, shown.clone()));
    for (field, value, word) in [
        ("desired", json!(-1), "0 to 1000"),
        ("actual", json!("3"), "0 to 1000"),
        ("valid_seconds", json!(0), "1 to 14400"),
        ("reason", json!("because"), "lag, partitions"),
        ("explanation", json!(7), "explanation"),
        ("colour", json!(1), "colour is not a field"),
    ] {
        let mut wrong = report.clone();
        wrong[field] = value;
        let (status, problem) = put(wrong).await;
        assert_eq!(status, 422, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{problem}");
    }
    assert_eq!(monitor.get(PATH).await, (200, shown));
    monitor.stop().await;
}
