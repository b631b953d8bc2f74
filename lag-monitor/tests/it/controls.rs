//! `/services/{service}/controls`: the settings of a group.

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
