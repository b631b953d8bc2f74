//! The metrics of Kafka clients and database pools, on a real broker and a real database.

use kafka_runtime::database::Database;
use prometheus::{Registry, TextEncoder};
use sqlx::postgres::PgConnectOptions;
use test_stack::{eventually, shared};

use crate::harness::{DEADLINE, Harness, Running, start};
use crate::test_service::{TestService, orders};

fn exposition(registry: &Registry) -> String {
    TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap()
}

/// The value of a series, with its labels as in the text format. `None` if there is no such series.
fn value(registry: &Registry, series: &str) -> Option<f64> {
    let text = exposition(registry);
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

/// Waits until the series are above 0. Publishes orders meanwhile: a quantile needs measurements of the last 5 s.
async fn above_zero(harness: &Harness, member: &Running, series: &[&str]) {
    eventually(DEADLINE, "all series are above 0", async || {
        harness.publish_orders(&orders(1)).await;
        let low = |series: &&&str| value(&member.registry, series).is_none_or(|now| now <= 0.0);
        match series.iter().find(low) {
            None => Ok(()),
            Some(missing) => Err(format!("{missing} in {}", exposition(&member.registry))),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_exposes_requests_bytes_batches_and_rebalances() {
    let harness = Harness::new("statistics", 3).await;
    let member = start(harness.settings(), TestService::default());
    member.ready().await;
    above_zero(
        &harness,
        &member,
        &[
            r#"kafka_client_request_seconds{client="consumer",quantile="0.5"}"#,
            r#"kafka_client_received_bytes_total{client="consumer"}"#,
            r#"kafka_client_sent_requests_total{client="consumer"}"#,
            r#"kafka_client_sent_bytes_total{client="producer"}"#,
            r#"kafka_producer_batch_records{client="producer",quantile="0.99"}"#,
            r#"kafka_producer_batch_bytes{client="producer",quantile="0.5"}"#,
            r#"kafka_consumer_rebalances_total{consumer_id="1"}"#,
        ],
    )
    .await;
    let fetches = r#"kafka_producer_batch_records{client="consumer",quantile="0.5"}"#;
    assert_eq!(
        value(&member.registry, fetches),
        None,
        "a consumer produces no batches"
    );
    member.stop().await;
}

#[tokio::test]
async fn a_pool_exposes_its_used_and_idle_sessions() {
    let url = shared().await.database("pool_metrics").await;
    let options: PgConnectOptions = url.parse().unwrap();
    let registry = Registry::new();
    let database = Database::new(options, 2);
    database.register_metrics(&registry, "writers").unwrap();
    let idle = r#"database_connections{pool="writers",state="idle"}"#;
    let in_use = r#"database_connections{pool="writers",state="in_use"}"#;
    let counts = || (value(&registry, in_use), value(&registry, idle));
    assert_eq!(counts(), (Some(0.0), Some(0.0)), "none before it is used");
    let session = database.pool().acquire().await.unwrap();
    assert_eq!(counts(), (Some(1.0), Some(0.0)));
    drop(session);
    // A session returns to the pool in the background.
    eventually(DEADLINE, "the session is idle", async || match counts() {
        (Some(0.0), Some(1.0)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let max = r#"database_connections_max{pool="writers"}"#;
    assert_eq!(value(&registry, max), Some(2.0));
    assert!(database.register_metrics(&registry, "writers").is_err());
    database.register_metrics(&registry, "readers").unwrap();
    database.close().await;
}
