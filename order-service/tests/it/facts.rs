//! Facts in the database.

use chrono::{DateTime, Utc};
use kafka_runtime::{Failure, Handler};
use order_service::domain::{Facts, Order};
use order_service::handler::OrderHandler;
use order_service::store;
use shared_events::http_api::OrderStatus;
use shared_events::{Event, EventType, OrderId, PaymentId};
use sqlx::{PgPool, Row};

use crate::events::{event, time};
use crate::support::{count, database, unread_metrics, without_kafka};

/// Reads the records and applies them as one batch, as the member does.
async fn apply(
    pool: &PgPool,
    records: &[(OrderId, EventType, DateTime<Utc>)],
) -> Result<(), Failure> {
    let handler = OrderHandler::new(pool.clone(), unread_metrics());
    let work: Vec<_> = records
        .iter()
        .map(|(order, event_type, at)| {
            handler
                .read(event(*order, *event_type), *at)
                .unwrap()
                .unwrap()
        })
        .collect();
    let applied = handler.apply(&work.iter().collect::<Vec<_>>()).await?;
    assert_eq!(applied, Vec::new().into(), "a fact causes no event");
    Ok(())
}

async fn find(pool: &PgPool, order: OrderId) -> Order {
    store::find(pool, order).await.unwrap().unwrap()
}

async fn status(pool: &PgPool, order: OrderId) -> String {
    let row = sqlx::query("SELECT status FROM orders WHERE order_id = $1").bind(order.as_uuid());
    row.fetch_one(pool).await.unwrap().get("status")
}

/// The version of the row: an update writes a new one, in another place and by another transaction.
async fn version(pool: &PgPool, order: OrderId) -> (String, String) {
    let row = sqlx::query(
        "SELECT xmin::text AS xmin, ctid::text AS ctid FROM orders WHERE order_id = $1",
    );
    let row = row.bind(order.as_uuid()).fetch_one(pool).await.unwrap();
    (row.get("xmin"), row.get("ctid"))
}

fn events_of(mask: usize) -> Vec<EventType> {
    EventType::ALL
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, event)| event)
        .collect()
}

#[tokio::test]
async fn every_set_of_facts_has_the_same_status_in_sql_and_rust() {
    let (url, pool) = database("every_set").await;
    let mut impossible = 0;
    for mask in 1..64 {
        let order = OrderId::now();
        let records: Vec<_> = events_of(mask)
            .into_iter()
            .map(|event| (order, event, time(0)))
            .collect();
        apply(&pool, &records).await.unwrap();
        let facts = find(&pool, order).await.facts;
        assert!(
            facts.iter().map(|(event, _)| event).eq(events_of(mask)),
            "{facts:?}"
        );
        assert_eq!(
            status(&pool, order).await,
            facts.status().name(),
            "{facts:?}"
        );
        impossible += i64::from(facts.is_impossible());
    }
    let none = OrderId::now();
    sqlx::query("INSERT INTO orders (order_id) VALUES ($1)")
        .bind(none.as_uuid())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(status(&pool, none).await, Facts::default().status().name());

    let shop = without_kafka(&url, &[]).await;
    assert_eq!(shop.metric("orders_impossible").await as i64, impossible);
    for status in OrderStatus::ALL {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE status = $1")
            .bind(status.name())
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(
            shop.metric(&format!("orders{{status=\"{status}\"}}")).await as i64,
            rows
        );
    }
}

#[tokio::test]
async fn a_repeated_fact_writes_no_new_version_of_the_row() {
    let (_url, pool) = database("repeated_fact").await;
    let order = OrderId::now();
    let records = [
        (order, EventType::OrderCreated, time(1)),
        (order, EventType::PaymentSucceeded, time(2)),
    ];
    apply(&pool, &records).await.unwrap();
    let (before, known) = (version(&pool, order).await, find(&pool, order).await);
    apply(&pool, &records).await.unwrap();
    let later = [(order, EventType::PaymentSucceeded, time(9))];
    apply(&pool, &later).await.unwrap();
    assert_eq!(version(&pool, order).await, before);
    assert_eq!(find(&pool, order).await, known);
    // Control: a new fact does write a new version.
    apply(&pool, &[(order, EventType::InventoryReserved, time(3))])
        .await
        .unwrap();
    assert_ne!(version(&pool, order).await, before);
}

#[tokio::test]
async fn the_events_of_a_saga_lead_to_one_status_in_every_order() {
    use EventType::{InventoryOutOfStock, OrderCreated, PaymentRefunded, PaymentSucceeded};
    let (_url, pool) = database("permutations").await;
    let saga = [
        OrderCreated,
        PaymentSucceeded,
        InventoryOutOfStock,
        PaymentRefunded,
    ];
    let mut seen = 0;
    for code in 0..4_usize.pow(4) {
        let places = [code % 4, code / 4 % 4, code / 16 % 4, code / 64];
        if (0..4).any(|place| !places.contains(&place)) {
            continue;
        }
        let order = OrderId::now();
        for place in places {
            apply(&pool, &[(order, saga[place], time(place as i64))])
                .await
                .unwrap();
        }
        let known = find(&pool, order).await;
        let expected = saga
            .iter()
            .enumerate()
            .map(|(second, event)| (*event, time(second as i64)));
        assert!(known.facts.iter().eq(expected), "{places:?}: {known:?}");
        assert_eq!(status(&pool, order).await, "CANCELLED");
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[tokio::test]
async fn a_batch_may_hold_many_facts_of_many_orders_and_repetitions() {
    let (_url, pool) = database("mixed_batch").await;
    let orders: Vec<_> = (0..100).map(|_| OrderId::now()).collect();
    let mut records = Vec::new();
    for event in [
        EventType::InventoryReserved,
        EventType::OrderCreated,
        EventType::PaymentSucceeded,
        EventType::OrderCreated,
    ] {
        let at = time(records.len() as i64);
        records.extend(orders.iter().rev().map(|order| (*order, event, at)));
    }
    apply(&pool, &records).await.unwrap();
    assert_eq!(
        count(
            &pool,
            "SELECT count(*) FROM orders WHERE status = 'CONFIRMED' AND customer_id = 'cust_1'"
        )
        .await,
        100
    );
    let first = find(&pool, orders[99]).await;
    assert_eq!(
        first.facts.created,
        Some(time(100)),
        "the first time counts"
    );
}

#[tokio::test]
async fn an_order_known_only_by_later_facts_is_completed_later() {
    let (url, pool) = database("overtaken").await;
    let order = OrderId::now();
    apply(&pool, &[(order, EventType::InventoryReserved, time(3))])
        .await
        .unwrap();
    let shop = without_kafka(&url, &[]).await;
    let shown = shop
        .order_with_status(&order.to_string(), "CONFIRMED")
        .await;
    assert!(
        shown["customerId"].is_null() && shown["amount"].is_null() && shown["paymentId"].is_null(),
        "{shown}"
    );
    assert_eq!(shown["productId"], "prod_123");
    apply(
        &pool,
        &[
            (order, EventType::OrderCreated, time(1)),
            (order, EventType::PaymentSucceeded, time(2)),
        ],
    )
    .await
    .unwrap();
    let shown = shop
        .order_with_status(&order.to_string(), "CONFIRMED")
        .await;
    assert_eq!(
        (&shown["customerId"], &shown["impossible"]),
        (&"cust_1".into(), &false.into()),
        "{shown}"
    );
    assert_eq!(shown["paymentId"], PaymentId::of(order).to_string());
}

#[tokio::test]
async fn an_old_order_whose_saga_has_not_ended_counts_as_waiting() {
    let (url, pool) = database("waiting").await;
    let (old, new, ended) = (OrderId::now(), OrderId::now(), OrderId::now());
    let before = Utc::now() - chrono::TimeDelta::seconds(61);
    apply(
        &pool,
        &[
            (old, EventType::OrderCreated, before),
            (ended, EventType::PaymentFailed, before),
            (new, EventType::OrderCreated, before),
        ],
    )
    .await
    .unwrap();
    apply(&pool, &[(new, EventType::PaymentSucceeded, Utc::now())])
        .await
        .unwrap();
    let shop = without_kafka(&url, &[]).await;
    assert_eq!(shop.metric("orders_waiting_over_60s").await, 1.0);
}

#[tokio::test]
async fn only_a_value_that_postgresql_refuses_is_a_bad_value() {
    let (_url, pool) = database("refused").await;
    let handler = OrderHandler::new(pool.clone(), unread_metrics());
    let order = OrderId::now();
    let mut bad = event(order, EventType::PaymentFailed);
    if let Event::PaymentFailed(failed) = &mut bad.event {
        failed.reason = "a\0b".to_owned();
    }
    let work = handler.read(bad, time(0)).unwrap().unwrap();
    let refused = handler.apply(&[&work]).await.unwrap_err();
    assert!(matches!(refused, Failure::BadValue { .. }), "{refused:?}");
    sqlx::query("ALTER TABLE orders RENAME TO renamed")
        .execute(&pool)
        .await
        .unwrap();
    let failure = apply(&pool, &[(order, EventType::OrderCreated, time(0))])
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
}
