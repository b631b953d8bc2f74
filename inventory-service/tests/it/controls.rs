//! The HTTP contract of a member's controls, which is the same in every service.

use kafka_admin::Cluster;
use reqwest::Method;
use serde_json::{Value, json};
use shared_events::{GroupControls, Service, Topic};
use test_stack::eventually;

use crate::service::{RunningService, in_saga, run_shared};
use crate::support::{PATIENCE, paid};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Sends a request, whose body comes with its media type, and returns status and JSON.
async fn request(
    service: &RunningService,
    method: Method,
    path: &str,
    body: Option<(&str, &str)>,
) -> (u16, Value) {
    let mut builder = reqwest::Client::new().request(method, format!("{}{path}", service.url));
    if let Some((media_type, body)) = body {
        builder = builder
            .header("content-type", media_type)
            .body(body.to_owned());
    }
    let response = builder.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The body of a response without the times of the settings, which differ from run to run.
fn without_since((status, mut body): (u16, Value)) -> (u16, Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("since");
    }
    (status, body)
}

async fn get(service: &RunningService, path: &str) -> Value {
    let (status, body) = without_since(request(service, Method::GET, path, None).await);
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn config(time: (u32, &str), batch: (u32, &str), paused: (bool, &str)) -> Value {
    json!({
        "processing_time_ms": time.0, "batch_max": batch.0, "paused": paused.0,
        "crash_at": "none", "protection_off": "none", "unsafe_allowed": false, "faults_ignored": false,
        "sources": {"processing_time_ms": time.1, "batch_max": batch.1, "paused": paused.1,
            "crash_at": "default", "protection_off": "default"},
    })
}

#[tokio::test]
async fn a_change_is_answered_with_the_effective_configuration() {
    let (service, _) = run_shared("controls", &["--batch-max", "20", "--slot", "3"]).await;
    let running = (false, "default");
    let started = config((0, "default"), (20, "environment"), running);
    assert_eq!(get(&service, "/config").await, started);
    let own = |time, batch, paused| config((time, "instance"), (batch, "instance"), paused);
    let pace = |time: u32, batch: u32| json!({"processing_time_ms": time, "batch_max": batch});
    let answer = |status: &str| json!({"status": status, "instance_id": "3"});
    let rows = [
        ("/slow", None, pace(2000, 1)),
        ("/slow?time_ms=1000", None, pace(1000, 1)),
        ("/fast", None, pace(50, 1)),
        ("/fast?time_ms=0", None, pace(0, 500)),
        ("/fast", Some((FORM, "time_ms=30")), pace(30, 1)),
        ("/slow", Some((FORM, "")), pace(2000, 1)),
        (
            "/config",
            Some((JSON, r#"{"batch_max": 7}"#)),
            own(2000, 7, running),
        ),
        ("/config", Some((JSON, "{}")), own(2000, 7, running)),
        (
            "/config",
            Some((
                JSON,
                r#"{"processing_time_ms": 0, "batch_max": 9, "paused": true}"#,
            )),
            own(0, 9, (true, "instance")),
        ),
        ("/resume", None, answer("running")),
        ("/pause", None, answer("paused")),
    ];
    for (path, body, expected) in rows {
        let (status, body_found) = without_since(request(&service, Method::POST, path, body).await);
        assert_eq!((status, body_found), (200, expected), "{path} {body:?}");
    }
    let paused = own(0, 9, (true, "instance"));
    assert_eq!(get(&service, "/config").await, paused);
    service.stop().await;
}

#[tokio::test]
async fn a_wrong_change_is_answered_with_its_limit_and_not_applied() {
    let (service, _) = run_shared("controls_wrong", &[]).await;
    let before = get(&service, "/config").await;
    for (path, body, status, says) in [
        (
            "/slow?time_ms=30001",
            None,
            422,
            "time_ms must be a whole number from 0 to 30000",
        ),
        ("/slow?time_ms=-1", None, 422, "time_ms must be"),
        ("/fast?time_ms=1.5", None, 422, "time_ms must be"),
        ("/fast?time=1", None, 422, "time is not a parameter"),
        (
            "/fast?time_ms=1&time_ms=2",
            None,
            422,
            "time_ms is given twice",
        ),
        (
            "/fast?time_ms=1",
            Some((FORM, "time_ms=1")),
            422,
            "time_ms is given twice",
        ),
        ("/fast?time_ms=%ff", None, 422, "time_ms must be"),
        ("/fast", Some((JSON, r#"{"time_ms": 1}"#)), 415, FORM),
        ("/config", None, 400, "the body is empty"),
        ("/config", Some((FORM, "batch_max=1")), 415, JSON),
        ("/config", Some((JSON, "[]")), 400, "must be a JSON object"),
        (
            "/config",
            Some((JSON, r#"{"batch_max": 0}"#)),
            422,
            "must be a whole number from 1 to 10000",
        ),
        (
            "/config",
            Some((JSON, r#"{"batch_max": 10001}"#)),
            422,
            "from 1 to 10000",
        ),
        (
            "/config",
            Some((JSON, r#"{"processing_time_ms": 30001}"#)),
            422,
            "from 0 to 30000",
        ),
        (
            "/config",
            Some((JSON, r#"{"processing_time_ms": "50"}"#)),
            422,
            "from 0 to 30000",
        ),
        (
            "/config",
            Some((JSON, r#"{"crash_at": "batch-collected"}"#)),
            422,
            "crash_at needs SANDBOX_UNSAFE=1",
        ),
        (
            "/config",
            Some((JSON, r#"{"protection_off": "everything"}"#)),
            422,
            "must be none, outbox",
        ),
        (
            "/config",
            Some((JSON, r#"{"paused": "yes"}"#)),
            422,
            "paused",
        ),
        (
            "/config",
            Some((JSON, r#"{"paused": null}"#)),
            422,
            "paused",
        ),
        (
            "/config",
            Some((JSON, r#"{"paused": true, "colour": 1}"#)),
            422,
            "colour is not a field",
        ),
        (
            "/config",
            Some((JSON, r#"{"batch_max": 1, "batch_max": 2}"#)),
            422,
            "given twice",
        ),
    ] {
        let (found, problem) = request(&service, Method::POST, path, body).await;
        assert_eq!(found, status, "{path} {body:?}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{path} {body:?}: {detail}");
    }
    for path in ["/slow", "/fast", "/pause", "/resume"] {
        assert_eq!(
            request(&service, Method::GET, path, None).await.0,
            405,
            "{path}"
        );
    }
    assert_eq!(get(&service, "/config").await, before);
    service.stop().await;
}

#[tokio::test]
async fn health_and_stats_show_what_the_member_does() {
    let (service, settings) = run_shared("controls_stats", &["--slot", "2"]).await;
    service.wait_until_ready().await;
    let healthy = json!({"status": "healthy", "service": "inventory-service", "instance_id": "2",
        "consuming": true, "paused": false});
    eventually(PATIENCE, "it consumes", async || {
        let found = get(&service, "/health").await;
        if found == healthy { Ok(()) } else { Err(found) }
    })
    .await;
    let topic = service.cluster.prefix().topic(Topic::Payments);
    let at_first = get(&service, "/stats").await;
    let expected = json!({
        "instance_id": "2", "group_id": service.cluster.prefix().group(Service::Inventory),
        "topic": topic, "processing_time_ms": 0, "running": true, "paused": false,
        "messages_processed": 0, "last_message_time": null, "assigned_partitions": [0, 1, 2],
        "assignment": {&topic: [0, 1, 2]}, "applied": null,
        "conditions": [], "records_lost": [],
        "config": {
            "processing_time_ms": 0, "batch_max": 500, "paused": false,
            "crash_at": "none", "protection_off": "none",
            "unsafe_allowed": false, "faults_ignored": false,
            "sources": {"processing_time_ms": "default", "batch_max": "default", "paused": "default",
                "crash_at": "default", "protection_off": "default"},
            "since": {"processing_time_ms": null, "batch_max": null, "paused": null,
                "crash_at": null, "protection_off": null},
        },
    });
    assert_eq!(at_first, expected);

    // Set for the group, not for the instance. A tool creates the controls topic after the service
    // has started.
    let cluster = Cluster::new(&settings.kafka).unwrap();
    cluster
        .create_topics(&[Topic::Controls], None)
        .await
        .unwrap();
    let controls = GroupControls {
        processing_time_ms: Some(1),
        batch_max: Some(2),
        ..GroupControls::default()
    };
    cluster
        .set_controls(Service::Inventory, &controls)
        .await
        .unwrap();
    let by_group = config((1, "group"), (2, "group"), (false, "default"));
    eventually(
        PATIENCE,
        "the member has its group's settings",
        async || {
            let found = get(&service, "/config").await;
            if found == by_group {
                Ok(())
            } else {
                Err(found)
            }
        },
    )
    .await;
    let payments: Vec<_> = (0..3).map(|_| in_saga(paid("prod_123", 1))).collect();
    service.publish(&payments).await;
    // A batch counts only after its offsets are committed.
    let stats = eventually(PATIENCE, "three are processed", async || {
        let stats = get(&service, "/stats").await;
        match stats["messages_processed"].as_u64() {
            Some(3) => Ok(stats),
            _ => Err(stats),
        }
    })
    .await;
    assert_eq!(
        stats["applied"],
        json!({"processing_time_ms": 1, "batch_max": 2})
    );
    assert!(stats["last_message_time"].is_string(), "{stats}");

    request(&service, Method::POST, "/pause", None).await;
    let paused = json!({"status": "degraded", "service": "inventory-service", "instance_id": "2",
        "consuming": false, "paused": true});
    eventually(PATIENCE, "it is paused", async || {
        let found = get(&service, "/health").await;
        if found == paused { Ok(()) } else { Err(found) }
    })
    .await;
    service.stop().await;
}
