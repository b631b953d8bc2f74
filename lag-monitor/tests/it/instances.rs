//! What the instances of the services say about themselves: asked over HTTP, and joined with the
//! cluster.

use std::path::Path;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use shared_events::Topic;
use test_stack::shared;
use tokio::net::TcpListener;

use crate::test_monitor::TestMonitor;

const STATUS: &str = "/status?group=inventory-service-group&topic=payments";

/// The answer of a member that its group's record has paused.
fn paused_member(group: &str, topic: &str) -> Value {
    let mut stats: Value = serde_json::from_str(include_str!("../member_stats.json")).unwrap();
    stats["group_id"] = group.into();
    stats["topic"] = topic.into();
    stats["assignment"] = json!({topic: [0, 1, 2]});
    stats["records_lost"] = json!([]);
    stats["conditions"] = json!([{
        "kind": "paused",
        "since": "2026-11-28T03:53:18Z",
        "cause": "paused by its group's record in sandbox.controls",
        "partitions": [],
        "source": "group",
    }]);
    stats["paused"] = true.into();
    stats["config"]["paused"] = true.into();
    stats["config"]["sources"]["paused"] = "group".into();
    stats
}

fn write(file: &Path, lines: &[String]) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, lines.join("\n")).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}

#[tokio::test]
async fn the_cause_that_a_member_names_comes_first_and_a_frozen_instance_delays_nothing() {
    let stack = shared().await;
    let prefix = stack.unique_prefix("members");
    let (group, topic) = (
        format!("{prefix}inventory-service-group"),
        format!("{prefix}payments"),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answering = listener.local_addr().unwrap();
    let stats = Json(paused_member(&group, &topic));
    let router = Router::new().route("/stats", get(async move || stats.clone()));
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await });
    // Connections are accepted by the system, and nothing answers: like a frozen process.
    let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = format!("inventory-service.1 http://{answering}");
    let second = format!(
        "inventory-service.2 http://{}",
        frozen.local_addr().unwrap()
    );

    let folder = std::env::temp_dir();
    let file = folder.join(format!("{prefix}instances-{}.txt", std::process::id()));
    write(&file, &[first.clone(), second]);
    let setting = format!("--instances-file={}", file.display());
    let monitor = TestMonitor::with(stack.bootstrap(), &prefix, &["--port=0", &setting]).await;
    for partition in 0..3 {
        let group = "inventory-service-group";
        monitor.commit(group, Topic::Payments, partition, 0).await;
    }
    monitor.publish(Topic::Payments, 1, 7).await;

    let silent = "inventory-service.2 has not answered since ";
    let is_named = |status: u16, body: &Value| {
        let evidence = body["evidence"].as_str().unwrap_or_default();
        status == 200 && evidence.contains(silent)
    };
    let body = monitor
        .until("the frozen one is named", STATUS, is_named)
        .await;
    let findings = body["findings"].as_array().unwrap();
    let paused = findings.iter().find(|one| one["rule"] == "paused").unwrap();
    let evidence = paused["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("paused by a control of the group since ")
            && evidence.contains("03:53:18 UTC"),
        "{body}"
    );
    let path = "/recommendations?group=inventory-service-group&topic=payments";
    let (_, body) = monitor.get(path).await;
    let all = body["recommendations"].as_array().unwrap();
    let resume = "./sandbox consumer resume inventory-service";
    assert!(all.iter().any(|one| one["command"] == resume), "{body}");

    // The list is read again at each poll.
    write(&file, &[first]);
    let is_forgotten = |status: u16, body: &Value| {
        let evidence = body["evidence"].as_str().unwrap_or(silent);
        status == 200 && !evidence.contains(silent)
    };
    monitor
        .until("it is not asked any more", STATUS, is_forgotten)
        .await;
    std::fs::remove_file(&file).unwrap();
    monitor.stop().await;
}
