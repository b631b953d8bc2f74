//! The database is down, or has the wrong migrations.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use test_stack::{dedicated, eventually, shared};
use tokio::process::Command;

use crate::support::{DEADLINE, Instance, NO_KAFKA, answer, count, order, settings, start};

fn reason(ready: &Value, component: &str) -> String {
    let components = ready["components"].as_array().unwrap();
    let found = components.iter().find(|shown| shown["name"] == component);
    found
        .unwrap_or_else(|| panic!("no {component} in {ready}"))
        .to_string()
}

/// Waits until all gauges that are counted in the database are in /metrics, or none is.
async fn wait_for_gauges(shop: &Instance, present: bool) {
    let names = [
        "outbox_rows ",
        "outbox_oldest_seconds ",
        "orders{",
        "orders_impossible ",
        "orders_waiting_over_60s ",
    ];
    eventually(DEADLINE, &format!("present: {present}"), async || {
        let text = shop.open("/metrics").await.text().await.unwrap();
        let is_present = |name: &&str| text.lines().any(|line| line.starts_with(name));
        match names
            .iter()
            .filter(|name| is_present(name) != present)
            .count()
        {
            0 => Ok(()),
            _ => Err(text),
        }
    })
    .await;
}

#[tokio::test]
async fn a_service_starts_without_its_database_and_survives_outages() {
    let stack = dedicated().await;
    let url = stack.database("outage").await;
    stack.stop_postgres().await;
    let shop = start(settings(&url, NO_KAFKA, &[])).await;
    let keyed = |key: &str| {
        shop.order(order().to_string())
            .header("Idempotency-Key", key)
    };
    answer(keyed("1"))
        .await
        .is_problem(503, &["cannot be accepted now"]);
    shop.get("/orders")
        .await
        .is_problem(503, &["cannot be read now"]);
    let ready = shop.get("/health/ready").await;
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (503, &"not_ready".into())
    );
    assert!(
        reason(&ready.body, "database").contains("down"),
        "{}",
        ready.body
    );
    assert_eq!(shop.get("/health/live").await.status, 200);
    wait_for_gauges(&shop, false).await;

    stack.start_postgres().await;
    let ready = shop.ready().await;
    wait_for_gauges(&shop, true).await;
    assert_eq!(
        ready["status"], "degraded",
        "without Kafka orders are accepted all the same: {ready}"
    );
    let first = answer(keyed("1")).await;
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (202, "")
    );

    stack.kill_postgres().await;
    answer(keyed("2")).await.is_problem(503, &[]);
    eventually(DEADLINE, "the service is not ready", async || {
        match shop.get("/health/ready").await.status {
            503 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    stack.start_postgres().await;
    shop.ready().await;
    let again = answer(keyed("1")).await;
    assert_eq!(
        (again.id(), again.header("idempotent-replayed")),
        (first.id(), "true")
    );
    eventually(
        DEADLINE,
        "orders are accepted again",
        async || match answer(keyed("2")).await.status {
            202 => Ok(()),
            status => Err(status),
        },
    )
    .await;

    stack.pause_postgres();
    answer(keyed("3")).await.is_problem(503, &[]);
    wait_for_gauges(&shop, false).await;
    stack.resume_postgres();
    shop.ready().await;
    wait_for_gauges(&shop, true).await;
    let pool = PgPool::connect(&url).await.unwrap();
    // Every order was written completely or not at all.
    for partial in [
        "SELECT count(*) FROM orders WHERE order_id::text NOT IN (SELECT key FROM outbox)",
        "SELECT count(*) FROM outbox WHERE key NOT IN (SELECT order_id::text FROM orders)",
        "SELECT count(*) FROM idempotency_keys WHERE order_id NOT IN (SELECT order_id FROM orders)",
    ] {
        assert_eq!(count(&pool, partial).await, 0, "{partial}");
    }
    shop.stop().await;
}

#[tokio::test]
async fn a_database_of_another_version_ends_the_service_with_a_reason() {
    let stack = shared().await;
    let url = stack.database("other_version").await;
    let pool = PgPool::connect(&url).await.unwrap();
    order_service::app::MIGRATIONS.run(&pool).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'newer', true, '', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    let shop = start(settings(&url, NO_KAFKA, &[])).await;
    let error = tokio::time::timeout(Duration::from_secs(30), shop.ended())
        .await
        .unwrap()
        .unwrap_err();
    let line = format!("{error:#}");
    assert!(
        line.contains("another version") && line.contains("999") && !line.contains('\n'),
        "{line}"
    );
}

#[tokio::test]
async fn a_taken_port_ends_the_service_with_a_reason() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings("postgres://nobody@127.0.0.1:1/none", NO_KAFKA, &[]);
    settings.port = taken.local_addr().unwrap().port();
    let port = settings.port;
    let error = order_service::App::build(settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains(&format!("port {port} is taken")), "{error}");
}

#[tokio::test]
async fn orders_are_answered_while_the_log_cannot_be_written() {
    let full_disk = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut service = Command::new(env!("CARGO_BIN_EXE_order-service"))
        .env_clear()
        .env("RUST_LOG", "debug")
        .args(["--port", &port.to_string(), "--bootstrap-servers", NO_KAFKA])
        .args(["--database-url", "postgres://127.0.0.1:1/orders"])
        .stdout(full_disk())
        .stderr(full_disk())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let client = reqwest::Client::new();
    let post = || client.post(format!("http://127.0.0.1:{port}/orders"));
    eventually(DEADLINE, "the service listens", async || {
        post().send().await.map(drop)
    })
    .await;
    for _ in 0..3 {
        answer(post().json(&order()))
            .await
            .is_problem(503, &["cannot be accepted now"]);
    }
    assert_eq!(service.try_wait().unwrap(), None);
}
