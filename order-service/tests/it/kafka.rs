//! The service with its broker: what is accepted is told, and what is told is added.

use std::time::Duration;

use kafka_runtime::KafkaSettings;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Query, Record};
use kafka_admin::{Cluster, ClusterError};
use shared_events::{Decoded, EventId, EventType, OrderId, Topic};
use test_stack::{eventually, shared};

use crate::facts::told;
use crate::support::{
    DEADLINE, Instance, answer, count, database, order, settings, start, without_kafka,
};

/// Topics that no other test shares.
struct Topics {
    bootstrap: String,
    prefix: String,
    cluster: Cluster,
}

async fn topics(test: &str) -> Topics {
    let stack = shared().await;
    let prefix = stack.unique_prefix(test);
    let kafka = KafkaSettings {
        bootstrap_servers: stack.bootstrap().to_owned(),
        name_prefix: prefix.parse().unwrap(),
        slot: None,
    };
    Topics {
        bootstrap: stack.bootstrap().to_owned(),
        prefix,
        cluster: Cluster::new(&kafka).unwrap(),
    }
}

impl Topics {
    async fn create(&self) {
        self.cluster
            .create_topics(&Topic::ALL, Some(1))
            .await
            .unwrap();
    }

    async fn service(&self, url: &str) -> Instance {
        start(settings(
            url,
            &self.bootstrap,
            &["--name-prefix", &self.prefix],
        ))
        .await
    }

    async fn records(&self, topic: Topic) -> Result<Vec<Record>, ClusterError> {
        self.cluster
            .read(&format!("{}{topic}", self.prefix), &Query::default())
            .await
    }

    /// A topic that was made a moment ago has no leader yet: that is "not yet", too.
    async fn records_at_last(&self, topic: Topic, wanted: usize) -> Vec<Record> {
        eventually(
            DEADLINE,
            &format!("{wanted} records in {topic}"),
            async || match self.records(topic).await {
                Ok(records) if records.len() >= wanted => Ok(records),
                Ok(records) => Err(format!("{} records", records.len())),
                Err(error) => Err(error.to_string()),
            },
        )
        .await
    }
}

#[tokio::test]
async fn an_accepted_order_is_told_with_the_names_it_came_with() {
    let topics = topics("told").await;
    topics.create().await;
    let (url, pool) = database("told").await;
    let shop = topics.service(&url).await;
    shop.ready().await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = shop
        .order(order().to_string())
        .header("X-Correlation-Id", "corr-9")
        .header("traceparent", traceparent);
    let accepted = answer(request).await;
    let id: OrderId = accepted.id().parse().unwrap();
    let records = topics.records_at_last(Topic::Orders, 1).await;
    let Decoded::Event(told) = records[0].decode().unwrap() else {
        panic!("{records:?}")
    };
    assert_eq!(
        (told.event.order_id(), told.event.event_type()),
        (id, EventType::OrderCreated)
    );
    assert_eq!(
        told.headers.event_id,
        EventId::of(id, EventType::OrderCreated)
    );
    assert_eq!(
        (
            told.headers.correlation_id.as_str(),
            told.headers.traceparent.to_string().as_str()
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
async fn orders_accepted_before_the_topics_are_there_are_told_when_they_are() {
    let topics = topics("before_topics").await;
    let (url, _pool) = database("before_topics").await;
    let shop = topics.service(&url).await;
    shop.ready().await;
    let id = shop.post(&order()).await.id();
    topics.create().await;
    let records = topics.records_at_last(Topic::Orders, 1).await;
    assert_eq!(records[0].key.as_deref(), Some(id.as_bytes()));
    // And the member that subscribed before there was anything to subscribe to adds what comes.
    let paid = told(id.parse().unwrap(), EventType::PaymentSucceeded);
    topics
        .cluster
        .publish(&[RawRecord::event(&paid).unwrap()])
        .await
        .unwrap();
    shop.stands(&id, "PAID").await;
    shop.stop().await;
}

/// Rubbish of every kind, and how it is classified.
fn poison(id: OrderId) -> Vec<(RawRecord, &'static str)> {
    let good = RawRecord::event(&told(id, EventType::PaymentFailed)).unwrap();
    let text = String::from_utf8(good.value.clone().unwrap()).unwrap();
    let with = |value: Vec<u8>| RawRecord {
        value: Some(value),
        ..good.clone()
    };
    let mut headless = good.clone();
    headless.headers.retain(|(name, _)| name != "event-id");
    vec![
        (with(b"{".to_vec()), "bad_value"),
        (with(b"\xff\xfe".to_vec()), "not_utf8"),
        (
            with(text.replace("250.50", "\"250.50\"").into_bytes()),
            "bad_value",
        ),
        (with(vec![b'x'; 1_000_000]), "bad_value"),
        // Sound, but no text of PostgreSQL's.
        (
            with(text.replace("because", "be\\u0000cause").into_bytes()),
            "database",
        ),
        (headless, "missing_header"),
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
async fn poison_between_good_records_is_set_aside_and_the_good_ones_are_added() {
    let topics = topics("poison").await;
    topics.create().await;
    let (url, pool) = database("poison").await;
    let victim = OrderId::now();
    let poison = poison(victim);
    let goods: Vec<_> = (0..=poison.len()).map(|_| OrderId::now()).collect();
    let mut records = Vec::new();
    for (good, (bad, _)) in goods.iter().zip(&poison) {
        records.push(RawRecord::event(&told(*good, EventType::PaymentSucceeded)).unwrap());
        records.push(bad.clone());
    }
    let mut unknown = RawRecord::event(&told(goods[0], EventType::PaymentFailed)).unwrap();
    for (name, value) in &mut unknown.headers {
        if name == "event-type" {
            *value = Some(b"PaymentPondered".to_vec());
        }
    }
    records.push(unknown);
    records
        .push(RawRecord::event(&told(goods[poison.len()], EventType::PaymentSucceeded)).unwrap());
    topics.cluster.publish(&records).await.unwrap();

    let shop = topics.service(&url).await;
    for good in &goods {
        shop.stands(&good.to_string(), "PAID").await;
    }
    let letters = topics.records_at_last(Topic::OrdersDlq, poison.len()).await;
    let header = |record: &Record, wanted: &str| {
        let value = record
            .header_pairs()
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, value)| value);
        String::from_utf8(value.unwrap_or_default().to_vec()).unwrap()
    };
    let classes: Vec<_> = letters
        .iter()
        .map(|letter| header(letter, "dlq-error-class"))
        .collect();
    assert_eq!(
        classes,
        poison.iter().map(|(_, class)| *class).collect::<Vec<_>>()
    );
    for (letter, (bad, _)) in letters.iter().zip(&poison) {
        assert_eq!(
            (&letter.key, &letter.value),
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
async fn facts_read_again_from_the_beginning_change_nothing() {
    let topics = topics("again").await;
    topics.create().await;
    let (url, pool) = database("again").await;
    let id = OrderId::now();
    let story = [
        EventType::OrderCreated,
        EventType::PaymentSucceeded,
        EventType::InventoryReserved,
    ];
    let records: Vec<_> = story
        .iter()
        .map(|event| RawRecord::event(&told(id, *event)).unwrap())
        .collect();
    topics.cluster.publish(&records).await.unwrap();
    let shop = topics.service(&url).await;
    let consumed = async |records: f64| {
        let what = format!("{records} records are settled");
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
    // One fact may make an order confirmed before the others have come.
    consumed(3.0).await;
    shop.stands(&id.to_string(), "CONFIRMED").await;
    let version = "SELECT sum(xmin::text::bigint)::bigint FROM orders";
    let before = count(&pool, version).await;
    // The same records once more, and one after them that shows that they were read.
    let last = OrderId::now();
    topics.cluster.publish(&records).await.unwrap();
    let sentinel = RawRecord::event(&told(last, EventType::InventoryReserved)).unwrap();
    topics.cluster.publish(&[sentinel]).await.unwrap();
    shop.stands(&last.to_string(), "CONFIRMED").await;
    consumed(7.0).await;
    sqlx::query("DELETE FROM orders WHERE order_id = $1")
        .bind(last.as_uuid())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(count(&pool, version).await, before);
    shop.stop().await;
}

#[tokio::test]
async fn a_service_without_a_broker_is_degraded_and_stops_all_the_same() {
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
async fn without_the_outbox_an_order_is_told_after_its_commit() {
    let topics = topics("no_outbox").await;
    topics.create().await;
    let (url, pool) = database("no_outbox").await;
    // A row that nobody can delete would show that one was written.
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
    let records = topics.records_at_last(Topic::Orders, 1).await;
    assert_eq!(records[0].key.as_deref(), Some(id.as_bytes()));
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, 0);
    shop.stop().await;
}

#[tokio::test]
async fn without_the_outbox_an_order_accepted_while_kafka_is_away_is_never_told() {
    let (url, pool) = database("never_told").await;
    let shop = without_kafka(&url, &NO_OUTBOX).await;
    let accepted = shop.post(&order()).await;
    assert_eq!(accepted.status, 202);
    assert_eq!(count(&pool, "SELECT count(*) FROM orders").await, 1);
    assert_eq!(count(&pool, "SELECT count(*) FROM outbox").await, 0);
    shop.stop().await;
}
