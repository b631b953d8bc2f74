//! Facts in the database.

use chrono::{DateTime, Utc};
use kafka_runtime::Failure;
use kafka_runtime::Handler;
use order_service::domain::{Facts, Order, Status};
use order_service::handler::OrderFacts;
use order_service::store;
use shared_events::{
    CorrelationId, Envelope, Event, EventType, InventoryOutOfStock, InventoryReserved,
    OrderCreated, OrderId, PaymentFailed, PaymentId, PaymentRefunded, PaymentSucceeded,
    TraceParent,
};
use sqlx::{PgPool, Row};

use crate::support::{count, database, uncounted, without_kafka};

pub fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// An event of the order, as the services tell it.
pub fn told(order_id: OrderId, event: EventType) -> Envelope {
    let (payment_id, occurred_at) = (PaymentId::of(order_id), time(0));
    let (customer_id, product_id) = ("cust_1".parse().unwrap(), "prod_123".parse().unwrap());
    let (quantity, amount) = (serde_json::from_str("2").unwrap(), "250.5".parse().unwrap());
    let reason = "because".to_owned();
    let event: Event = match event {
        EventType::OrderCreated => OrderCreated {
            order_id,
            customer_id,
            product_id,
            quantity,
            amount,
            occurred_at,
        }
        .into(),
        EventType::PaymentSucceeded => PaymentSucceeded {
            order_id,
            payment_id,
            product_id,
            quantity,
            amount,
            occurred_at,
        }
        .into(),
        EventType::PaymentFailed => PaymentFailed {
            order_id,
            amount,
            reason,
            occurred_at,
        }
        .into(),
        EventType::InventoryReserved => InventoryReserved {
            order_id,
            product_id,
            quantity,
            occurred_at,
        }
        .into(),
        EventType::InventoryOutOfStock => InventoryOutOfStock {
            order_id,
            payment_id,
            product_id,
            quantity,
            amount,
            reason,
            occurred_at,
        }
        .into(),
        EventType::PaymentRefunded => PaymentRefunded {
            order_id,
            payment_id,
            amount,
            reason,
            occurred_at,
        }
        .into(),
    };
    Envelope::first(
        event,
        CorrelationId::new("corr-1").unwrap(),
        TraceParent::random(),
    )
}

/// As the member does it: reads the records and applies what they mean as one batch.
async fn apply(
    pool: &PgPool,
    records: &[(OrderId, EventType, DateTime<Utc>)],
) -> Result<(), Failure> {
    let handler = OrderFacts::new(pool.clone(), uncounted());
    let work: Vec<_> = records
        .iter()
        .map(|(order, event, at)| handler.read(told(*order, *event), *at).unwrap().unwrap())
        .collect();
    let answers = handler.apply(&work.iter().collect::<Vec<_>>()).await?;
    assert!(answers.is_empty(), "facts are not answered");
    Ok(())
}

async fn find(pool: &PgPool, order: OrderId) -> Order {
    store::find(pool, order).await.unwrap().unwrap()
}

async fn status(pool: &PgPool, order: OrderId) -> String {
    let row = sqlx::query("SELECT status FROM orders WHERE order_id = $1").bind(order.as_uuid());
    row.fetch_one(pool).await.unwrap().get("status")
}

/// Which version of the row this is: a new one is written elsewhere, by another transaction.
async fn version(pool: &PgPool, order: OrderId) -> (String, String) {
    let row = sqlx::query(
        "SELECT xmin::text AS xmin, ctid::text AS ctid FROM orders WHERE order_id = $1",
    );
    let row = row.bind(order.as_uuid()).fetch_one(pool).await.unwrap();
    (row.get("xmin"), row.get("ctid"))
}

fn facts_of(mask: usize) -> Vec<EventType> {
    EventType::ALL
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, event)| event)
        .collect()
}

#[tokio::test]
async fn the_status_in_the_database_is_the_status_in_rust_for_every_set_of_facts() {
    let (url, pool) = database("every_set").await;
    let mut impossible = 0;
    for mask in 1..64 {
        let order = OrderId::now();
        let records: Vec<_> = facts_of(mask)
            .into_iter()
            .map(|event| (order, event, time(0)))
            .collect();
        apply(&pool, &records).await.unwrap();
        let facts = find(&pool, order).await.facts;
        assert!(
            facts.told().map(|(event, _)| event).eq(facts_of(mask)),
            "{facts:?}"
        );
        assert_eq!(
            status(&pool, order).await,
            facts.status().name(),
            "{facts:?}"
        );
        impossible += i64::from(facts.impossible());
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
    for status in Status::ALL {
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
async fn a_fact_told_again_writes_no_new_version_of_the_row() {
    let (_url, pool) = database("told_again").await;
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
    // The check sees a new version where there is one.
    apply(&pool, &[(order, EventType::InventoryReserved, time(3))])
        .await
        .unwrap();
    assert_ne!(version(&pool, order).await, before);
}

#[tokio::test]
async fn every_order_of_a_story_ends_alike() {
    use EventType::{InventoryOutOfStock, OrderCreated, PaymentRefunded, PaymentSucceeded};
    let (_url, pool) = database("permutations").await;
    let story = [
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
            apply(&pool, &[(order, story[place], time(place as i64))])
                .await
                .unwrap();
        }
        let known = find(&pool, order).await;
        let expected = story
            .iter()
            .enumerate()
            .map(|(second, event)| (*event, time(second as i64)));
        assert!(known.facts.told().eq(expected), "{places:?}: {known:?}");
        assert_eq!(status(&pool, order).await, "CANCELLED");
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[tokio::test]
async fn a_batch_may_tell_many_facts_of_many_orders_and_some_twice() {
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
async fn an_order_known_only_by_later_facts_shows_null_and_is_completed_later() {
    let (url, pool) = database("overtaken").await;
    let order = OrderId::now();
    apply(&pool, &[(order, EventType::InventoryReserved, time(3))])
        .await
        .unwrap();
    let shop = without_kafka(&url, &[]).await;
    let shown = shop.stands(&order.to_string(), "CONFIRMED").await;
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
    let shown = shop.stands(&order.to_string(), "CONFIRMED").await;
    assert_eq!(
        (&shown["customerId"], &shown["impossible"]),
        (&"cust_1".into(), &false.into()),
        "{shown}"
    );
    assert_eq!(shown["paymentId"], PaymentId::of(order).to_string());
}

#[tokio::test]
async fn an_old_order_whose_saga_has_not_ended_is_counted_as_waiting() {
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
async fn what_the_database_refuses_is_the_fault_of_a_value_only_if_it_is() {
    let (_url, pool) = database("refused").await;
    let handler = OrderFacts::new(pool.clone(), uncounted());
    let order = OrderId::now();
    let mut bad = told(order, EventType::PaymentFailed);
    if let Event::PaymentFailed(event) = &mut bad.event {
        event.reason = "a\0b".to_owned();
    }
    let work = handler.read(bad, time(0)).unwrap().unwrap();
    let refused = handler.apply(&[&work]).await.unwrap_err();
    assert!(matches!(refused, Failure::BadValue { .. }), "{refused:?}");
    sqlx::query("ALTER TABLE orders RENAME TO elsewhere")
        .execute(&pool)
        .await
        .unwrap();
    let away = apply(&pool, &[(order, EventType::OrderCreated, time(0))])
        .await
        .unwrap_err();
    assert!(matches!(away, Failure::Retryable { .. }), "{away:?}");
}
