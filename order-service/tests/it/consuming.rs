//! Records of the saga are added to orders, and poison is not.

use kafka_admin::publish::RawRecord;
use kafka_admin::records::Record;
use shared_events::{EventType, OrderId, Topic};
use test_stack::eventually;

use crate::events::event;
use crate::support::{DEADLINE, count, database};
use crate::topics::topics;

/// Invalid records of every kind, and their error class.
fn poison(id: OrderId) -> Vec<(RawRecord, &'static str)> {
    let good = RawRecord::event(&event(id, EventType::PaymentFailed)).unwrap();
    let text = String::from_utf8(good.value.clone().unwrap()).unwrap();
    let with = |value: Vec<u8>| RawRecord {
        value: Some(value),
        ..good.clone()
    };
    let mut without_event_id = good.clone();
    without_event_id
        .headers
        .retain(|(name, _)| name != "event-id");
    vec![
        (with(b"{".to_vec()), "bad_value"),
        (with(b"\xff\xfe".to_vec()), "not_utf8"),
        (
            with(text.replace("250.50", "\"250.50\"").into_bytes()),
            "bad_value",
        ),
        (with(vec![b'x'; 1_000_000]), "bad_value"),
        // A valid event whose text PostgreSQL cannot store.
        (
            with(text.replace("because", "be\\u0000cause").into_bytes()),
            "database",
        ),
        (without_event_id, "missing_header"),
        (
            RawRecord {
                value: None,
                ..good.clone()
            },
            "null_value",
        ),
        (
            RawRecord {
                key: Some(b"another".to_vec()),
                ..good.clone()
            },
            "key_mismatch",
        ),
        (RawRecord { key: None, ..good }, "key_mismatch"),
    ]
}

#[tokio::test]
async fn poison_goes_to_the_dlq_and_the_good_records_between_are_added() {
    let topics = topics("poison").await;
    topics.create().await;
    let (url, pool) = database("poison").await;
    let victim = OrderId::now();
    let poison = poison(victim);
    let goods: Vec<_> = (0..=poison.len()).map(|_| OrderId::now()).collect();
    let mut records = Vec::new();
    for (good, (bad, _)) in goods.iter().zip(&poison) {
        records.push(RawRecord::event(&event(*good, EventType::PaymentSucceeded)).unwrap());
        records.push(bad.clone());
    }
    let mut unknown = RawRecord::event(&event(goods[0], EventType::PaymentFailed)).unwrap();
    for (name, value) in &mut unknown.headers {
        if name == "event-type" {
            *value = Some(b"PaymentPondered".to_vec());
        }
    }
    records.push(unknown);
    records
        .push(RawRecord::event(&event(goods[poison.len()], EventType::PaymentSucceeded)).unwrap());
    topics.cluster.publish(&records).await.unwrap();

    let shop = topics.service(&url).await;
    for good in &goods {
        shop.order_with_status(&good.to_string(), "PAID").await;
    }
    let dead_letters = topics
        .wait_for_records(Topic::OrdersDlq, poison.len())
        .await;
    let header = |record: &Record, wanted: &str| {
        let value = record
            .header_pairs()
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, value)| value);
        String::from_utf8(value.unwrap_or_default().to_vec()).unwrap()
    };
    let classes: Vec<_> = dead_letters
        .iter()
        .map(|record| header(record, "dlq-error-class"))
        .collect();
    assert_eq!(
        classes,
        poison.iter().map(|(_, class)| *class).collect::<Vec<_>>()
    );
    for (dead_letter, (bad, _)) in dead_letters.iter().zip(&poison) {
        assert_eq!(
            (&dead_letter.key, &dead_letter.value),
            (&bad.key, &bad.value),
            "unchanged"
        );
    }
    shop.get(&format!("/orders/{victim}"))
        .await
        .is_problem(404, &[]);
    assert_eq!(
        count(&pool, "SELECT count(*) FROM orders").await,
        goods.len() as i64
    );
    shop.stop().await;
}

#[tokio::test]
async fn records_that_are_published_twice_change_nothing() {
    let topics = topics("again").await;
    topics.create().await;
    let (url, pool) = database("again").await;
    let id = OrderId::now();
    let saga = [
        EventType::OrderCreated,
        EventType::PaymentSucceeded,
        EventType::InventoryReserved,
    ];
    let records: Vec<_> = saga
        .iter()
        .map(|event_type| RawRecord::event(&event(id, *event_type)).unwrap())
        .collect();
    topics.cluster.publish(&records).await.unwrap();
    let shop = topics.service(&url).await;
    let consumed = async |records: f64| {
        let what = format!("{records} records are committed");
        eventually(DEADLINE, &what, async || {
            let text = shop.open("/metrics").await.text().await.unwrap();
            let consumed = text
                .lines()
                .filter(|line| line.starts_with("kafka_messages_consumed_total"));
            let consumed: f64 = consumed
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum();
            if consumed == records {
                Ok(())
            } else {
                Err(consumed)
            }
        })
        .await;
    };
    // The last fact alone makes an order CONFIRMED, so its status does not show that all three were
    // read.
    consumed(3.0).await;
    shop.order_with_status(&id.to_string(), "CONFIRMED").await;
    let version = "SELECT sum(xmin::text::bigint)::bigint FROM orders";
    let before = count(&pool, version).await;
    // The same records again, and one after them whose effect shows that they were read.
    let last = OrderId::now();
    topics.cluster.publish(&records).await.unwrap();
    let sentinel = RawRecord::event(&event(last, EventType::InventoryReserved)).unwrap();
    topics.cluster.publish(&[sentinel]).await.unwrap();
    shop.order_with_status(&last.to_string(), "CONFIRMED").await;
    consumed(7.0).await;
    sqlx::query("DELETE FROM orders WHERE order_id = $1")
        .bind(last.as_uuid())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(count(&pool, version).await, before);
    shop.stop().await;
}
