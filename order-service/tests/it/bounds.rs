//! Requests beyond a limit are refused early, with a reason.

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use test_stack::eventually;

use crate::support::{DEADLINE, answer, count, database, order, without_kafka};

#[tokio::test]
async fn more_requests_than_the_queue_holds_are_refused_at_once() {
    let (url, pool) = database("queue").await;
    let shop = without_kafka(&url, &["--http-queue=2"]).await;
    let mut blocker = PgConnection::connect(&url).await.unwrap();
    let mut blocking = blocker.begin().await.unwrap();
    sqlx::query("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocking)
        .await
        .unwrap();
    let first = answer(shop.order(order().to_string()));
    let others = async {
        eventually(DEADLINE, "the first order waits for the table", async || {
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&pool).await.unwrap();
            if waiting > 0 { Ok(()) } else { Err("no lock is waited for") }
        })
        .await;
        // Two fit. The others are answered while the table is still locked, or this loop would
        // never end.
        let mut requests: Vec<_> = (0..6)
            .map(|_| Box::pin(answer(shop.order(order().to_string()))))
            .collect();
        let mut refused = Vec::new();
        while refused.len() < 4 {
            let (answer, _, rest) = futures::future::select_all(requests).await;
            refused.push(answer);
            requests = rest;
        }
        blocking.rollback().await.unwrap();
        (refused, join_all(requests).await)
    };
    let (first, (refused, accepted)) = tokio::join!(first, others);
    for refused in refused {
        refused.is_problem(503, &["too many orders are waiting"]);
    }
    for accepted in std::iter::once(&first).chain(&accepted) {
        assert_eq!(accepted.status, 202, "{accepted:?}");
    }
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 3);
    assert_eq!(
        shop.metric("order_requests_total{outcome=\"queue_full\"}")
            .await,
        4.0
    );
}

#[tokio::test]
async fn a_full_outbox_refuses_orders_until_rows_are_deleted() {
    let (url, pool) = database("outbox_limit").await;
    let shop = without_kafka(&url, &["--outbox-limit=3"]).await;
    // An order that is added during a count may count twice until the next count.
    eventually(DEADLINE, "three orders are accepted", async || {
        let answer = shop.post(&order()).await;
        let rows = count(&pool, "SELECT count(*) FROM outbox").await;
        match (answer.status, rows) {
            (202, 1..=3) => Err(format!("{rows} rows")),
            (503, 1..3) => Err(format!("refused at {rows} rows")),
            (503, 3) => {
                answer.is_problem(503, &["waiting for Kafka"]);
                Ok(())
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    eventually(DEADLINE, "the outbox is counted", async || {
        match shop.metric("outbox_rows").await {
            3.0 => Ok(()),
            rows => Err(rows),
        }
    })
    .await;
    shop.post(&order())
        .await
        .is_problem(503, &["waiting for Kafka"]);
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 3);
    sqlx::query("DELETE FROM outbox")
        .execute(&pool)
        .await
        .unwrap();
    eventually(DEADLINE, "orders are accepted again", async || {
        match shop.post(&order()).await.status {
            202 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_beyond_the_256th_is_refused() {
    let (url, _pool) = database("streams").await;
    let shop = without_kafka(&url, &[]).await;
    let id = shop.post(&order()).await.id();
    let path = format!("/orders/{id}/events");
    // In groups, because all streams share two database connections.
    let mut open = Vec::new();
    for _ in 0..16 {
        open.extend(join_all((0..16).map(|_| shop.open(&path))).await);
    }
    assert!(open.iter().all(|stream| stream.status() == 200));
    shop.get(&path).await.is_problem(503, &["streams"]);
    // Orders are still accepted meanwhile.
    assert_eq!(
        shop.post(&json!({"customerId": "c", "productId": "p", "quantity": 1, "amount": 1}))
            .await
            .status,
        202
    );
    drop(open);
    eventually(
        DEADLINE,
        "a stream can be opened again",
        async || match shop.open(&path).await.status().as_u16() {
            200 => Ok(()),
            status => Err(status),
        },
    )
    .await;
}

#[tokio::test]
async fn a_batch_that_waits_too_long_is_refused() {
    let (url, pool) = database("locked").await;
    let shop = without_kafka(&url, &[]).await;
    let mut blocker = PgConnection::connect(&url).await.unwrap();
    let mut blocking = blocker.begin().await.unwrap();
    sqlx::query("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocking)
        .await
        .unwrap();
    let refused = tokio::time::timeout(DEADLINE, shop.post(&order()))
        .await
        .expect("an answer");
    refused.is_problem(503, &["cannot be accepted now"]);
    blocking.rollback().await.unwrap();
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 0);
    assert_eq!(shop.post(&order()).await.status, 202);
}
