//! What a member and its process tell of their clients, on a real broker.

use kafka_runtime::database::Database;
use prometheus::{Registry, TextEncoder};
use sqlx::postgres::PgConnectOptions;
use test_stack::{eventually, shared};

use crate::rig::{DEADLINE, Rig, Running, Watched, orders, start};

fn told(registry: &Registry) -> String {
    TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap()
}

/// The value of a series, written with its labels as in the text format; `None` if there is none.
fn value(registry: &Registry, series: &str) -> Option<f64> {
    let told = told(registry);
    let mut lines = told.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

/// Waits until the series are above 0. Orders go on coming: a quantile is only told of 5 s in which something was measured.
async fn above_zero(rig: &Rig, member: &Running, series: &[&str]) {
    eventually(DEADLINE, "all series are above 0", async || {
        rig.publish_orders(&orders(1)).await;
        let low = |series: &&&str| value(&member.registry, series).is_none_or(|now| now <= 0.0);
        match series.iter().find(low) {
            None => Ok(()),
            Some(missing) => Err(format!("{missing} in {}", told(&member.registry))),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_tells_of_its_requests_bytes_batches_and_rebalances() {
    let rig = Rig::new("statistics", 3).await;
    let member = start(rig.settings(), Watched::default());
    member.ready().await;
    above_zero(
        &rig,
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
    assert_eq!(value(&member.registry, fetches), None, "it produces none");
    member.stop().await;
}

#[tokio::test]
async fn a_pool_tells_how_many_sessions_work_and_wait() {
    let url = shared().await.database("pool_metrics").await;
    let options: PgConnectOptions = url.parse().unwrap();
    let registry = Registry::new();
    let database = Database::new(options, 2);
    database.count_in(&registry, "writers").unwrap();
    let idle = r#"database_connections{pool="writers",state="idle"}"#;
    let in_use = r#"database_connections{pool="writers",state="in_use"}"#;
    let counts = || (value(&registry, in_use), value(&registry, idle));
    assert_eq!(counts(), (Some(0.0), Some(0.0)), "none before it is used");
    let session = database.pool().acquire().await.unwrap();
    assert_eq!(counts(), (Some(1.0), Some(0.0)));
    drop(session);
    // It is given back in the background.
    eventually(DEADLINE, "the session waits", async || match counts() {
        (Some(0.0), Some(1.0)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let most = r#"database_connections_max{pool="writers"}"#;
    assert_eq!(value(&registry, most), Some(2.0));
    assert!(database.count_in(&registry, "writers").is_err());
    database.count_in(&registry, "readers").unwrap();
    database.close().await;
}
