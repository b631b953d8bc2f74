//! `Idempotency-Key`

use futures::future::join_all;
use order_service::background_jobs::delete_old_keys;
use serde_json::json;

use crate::support::{answer, count, database, order, without_kafka};

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let (url, pool) = database("key_again").await;
    let shop = without_kafka(&url, &[]).await;
    let request = |body: &str| {
        shop.order(body.to_owned())
            .header("Idempotency-Key", "order-1")
    };
    let first = answer(request(&order().to_string()).header("X-Correlation-Id", "first")).await;
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (202, "")
    );
    // The same order in another spelling, with another correlation id.
    let spelling = r#" {"amount": 2.505e2, "quantity":2, "productId":"prod_123", "customerId":"cust_happy_path"} "#;
    let second = answer(request(spelling).header("X-Correlation-Id", "second")).await;
    assert_eq!(
        (second.status, second.header("idempotent-replayed")),
        (202, "true")
    );
    assert_eq!(second.body, first.body);
    for header in ["location", "x-correlation-id"] {
        assert_eq!(second.header(header), first.header(header));
    }
    assert_eq!(first.header("x-correlation-id"), "first");
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 1);
    assert_eq!(
        shop.metric("order_requests_total{outcome=\"repeated\"}")
            .await,
        1.0
    );
}

#[tokio::test]
async fn a_key_used_for_another_request_is_refused() {
    let (url, pool) = database("key_reused").await;
    let shop = without_kafka(&url, &[]).await;
    let request = |body: serde_json::Value| {
        shop.order(body.to_string())
            .header("Idempotency-Key", "order-1")
    };
    assert_eq!(answer(request(order())).await.status, 202);
    for (field, value) in [
        ("customerId", json!("other")),
        ("productId", json!("other")),
        ("quantity", json!(3)),
        ("amount", json!(250.51)),
    ] {
        let mut other = order();
        other[field] = value;
        answer(request(other))
            .await
            .names_wrong_fields(&["idempotency-key"], "another request");
    }
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 1);
}

/// Sends twenty equal requests at once, to two instances in turn.
async fn twenty_at_once(test: &str, more: &[&str]) -> (Vec<crate::support::Answer>, sqlx::PgPool) {
    let (url, pool) = database(test).await;
    let instances = [
        without_kafka(&url, more).await,
        without_kafka(&url, more).await,
    ];
    let requests = (0..20).map(|n| {
        instances[n % 2]
            .order(order().to_string())
            .header("Idempotency-Key", "order-1")
    });
    (join_all(requests.map(answer)).await, pool)
}

#[tokio::test]
async fn twenty_equal_requests_to_two_instances_make_one_order() {
    let (answers, pool) = twenty_at_once("key_twenty", &[]).await;
    assert!(
        answers.iter().all(|answer| answer.status == 202),
        "{answers:?}"
    );
    assert!(
        answers.iter().all(|answer| answer.body == answers[0].body),
        "{answers:?}"
    );
    let new = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(new.count(), 1, "{answers:?}");
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 1);
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, 1);
}

#[tokio::test]
async fn without_the_protection_twenty_equal_requests_make_twenty_orders() {
    let off = ["--sandbox-unsafe=1", "--protection-off=idempotency-key"];
    let (answers, pool) = twenty_at_once("key_off", &off).await;
    assert!(
        answers.iter().all(|answer| answer.status == 202),
        "{answers:?}"
    );
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 20);
}

#[tokio::test]
async fn every_request_without_a_key_is_an_order() {
    let (url, pool) = database("no_key").await;
    let shop = without_kafka(&url, &[]).await;
    let answers = join_all((0..20).map(|_| answer(shop.order(order().to_string())))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 202),
        "{answers:?}"
    );
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 20);
    assert_eq!(
        count(&pool, "SELECT count(DISTINCT key) FROM outbox").await,
        20
    );
}

#[tokio::test]
async fn a_key_is_kept_for_a_day() {
    let (url, pool) = database("key_age").await;
    let shop = without_kafka(&url, &[]).await;
    let request = |key: &str| {
        shop.order(order().to_string())
            .header("Idempotency-Key", key)
    };
    for key in ["old", "young"] {
        assert_eq!(answer(request(key)).await.status, 202);
    }
    let age = "UPDATE idempotency_keys SET created_at = now() - interval '24 hours' + CASE key WHEN 'old' THEN interval '-1 s' ELSE interval '1 min' END";
    sqlx::query(age).execute(&pool).await.unwrap();
    assert_eq!(delete_old_keys(&pool).await.unwrap(), 1);
    assert_eq!(
        answer(request("young")).await.header("idempotent-replayed"),
        "true"
    );
    assert_eq!(
        answer(request("old")).await.header("idempotent-replayed"),
        ""
    );
}
