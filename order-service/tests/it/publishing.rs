//! Accepted orders are published.

use std::time::Duration;

use kafka_admin::publish::RawRecord;
use shared_events::{Decoded, EventId, EventType, OrderId, Topic};
use test_stack::eventually;

use crate::events::event;
use crate::support::{DEADLINE, answer, count, database, order, settings, start, without_kafka};
use crate::topics::topics;

#[tokio::test]
async fn an_accepted_order_is_published_with_the_ids_of_its_request() {
    let topics = topics("published").await;
    topics.create().await;
    let (url, pool) = database("published").await;
    let shop = topics.service(&url).await;
    shop.ready().await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = shop
        .order(order().to_string())
        .header("X-Correlation-Id", "corr-9")
        .header("traceparent", traceparent);
    let accepted = answer(request).await;
    let id: OrderId = accepted.id().parse().unwrap();
    let records = topics.wait_for_records(Topic::Orders, 1).await;
    let Decoded::Event(published) = records[0].decode().unwrap() else {
        panic!("{records:?}")
    };
    assert_eq!(
        (published.event.order_id(), published.event.event_type()),
        (id, EventType::OrderCreated)
    );
    assert_eq!(
        published.headers.event_id,
        EventId::of(id, EventType::OrderCreated)
    );
    assert_eq!(
        (
            published.headers.correlation_id.as_str(),
            published.headers.traceparent.to_string().as_str()
        ),
        ("corr-9", traceparent)
    );
    let value: serde_json::Value =
        serde_json::from_slice(records[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&value["amount"], &value["customerId"]),
        (&order()["amount"], &order()["customerId"])
    );
    eventually(DEADLINE, "the outbox is empty", async || {
        match count(&pool, "SELECT count(*) FROM outbox").await {
            0 => Ok(()),
            rows => Err(rows),
        }
    })
    .await;
    assert_eq!(topics.records(Topic::Orders).await.unwrap().len(), 1);
    shop.stop().await;
}

#[tokio::test]
async fn orders_accepted_before_the_topics_exist_are_published_later() {
    let topics = topics("before_topics").await;
    let (url, _pool) = database("before_topics").await;
    let shop = topics.service(&url).await;
    shop.ready().await;
    let id = shop.post(&order()).await.id();
    topics.create().await;
    let records = topics.wait_for_records(Topic::Orders, 1).await;
    assert_eq!(records[0].key.as_deref(), Some(id.as_bytes()));
    // The member subscribed before the topics existed; it consumes from them all the same.
    let paid = event(id.parse().unwrap(), EventType::PaymentSucceeded);
    topics
        .cluster
        .publish(&[RawRecord::event(&paid).unwrap()])
        .await
        .unwrap();
    shop.order_with_status(&id, "PAID").await;
    shop.stop().await;
}

#[tokio::test]
async fn a_service_without_a_broker_is_degraded_and_stops_in_time() {
    let (url, pool) = database("no_broker").await;
    let shop = without_kafka(&url, &[]).await;
    assert_eq!(shop.post(&order()).await.status, 202);
    assert_eq!(shop.ready().await["status"], "degraded");
    // Docker Compose kills it after 15 s.
    tokio::time::timeout(Duration::from_secs(15), shop.stop())
        .await
        .expect("a bounded stop");
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, 1);
}

const NO_OUTBOX: [&str; 2] = ["--sandbox-unsafe=1", "--protection-off=outbox"];

#[tokio::test]
async fn without_the_outbox_an_order_is_published_after_its_commit() {
    let topics = topics("no_outbox").await;
    topics.create().await;
    let (url, pool) = database("no_outbox").await;
    // This rule keeps every row, so a written one would be seen.
    sqlx::query("CREATE RULE kept AS ON DELETE TO outbox DO INSTEAD NOTHING")
        .execute(&pool)
        .await
        .unwrap();
    let prefix = ["--name-prefix", &topics.prefix];
    let shop = start(settings(
        &url,
        &topics.bootstrap,
        &[&prefix[..], &NO_OUTBOX].concat(),
    ))
    .await;
    shop.ready().await;
    let id = shop.post(&order()).await.id();
    let records = topics.wait_for_records(Topic::Orders, 1).await;
    assert_eq!(records[0].key.as_deref(), Some(id.as_bytes()));
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, 0);
    shop.stop().await;
}

#[tokio::test]
async fn without_the_outbox_an_order_without_kafka_is_never_published() {
    let (url, pool) = database("never_published").await;
    let shop = without_kafka(&url, &NO_OUTBOX).await;
    let accepted = shop.post(&order()).await;
    assert_eq!(accepted.status, 202);
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 1);
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, 0);
    shop.stop().await;
}
