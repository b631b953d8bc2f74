//! The promise of a member while its group rebalances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_runtime::{ConsumerTuning, MemberSettings};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use shared_events::{Envelope, Event, InventoryReserved, Topic};
use test_stack::{dedicated, eventually};
use tokio::task::JoinSet;

use crate::harness::{DEADLINE, Harness, start};
use crate::test_service::{TestService, orders};

const PARTITIONS: i32 = 6;
const ORDERS: usize = 3_000;

/// Publishes record sets of a few records. A slow consumer that fetches little at a time then never finds its queue empty.
#[allow(
    clippy::disallowed_methods,
    reason = "the service's producers make large record sets"
)]
async fn publish_in_small_sets(harness: &Harness, orders: &[Envelope]) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &harness.kafka.bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("batch.num.messages", "5")
        .set("linger.ms", "0")
        .create()
        .unwrap();
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let mut sent = Vec::new();
    for order in orders {
        let mut headers = rdkafka::message::OwnedHeaders::new();
        for (key, value) in order.header_pairs() {
            headers = headers.insert(rdkafka::message::Header {
                key,
                value: Some(&value),
            });
        }
        let (key, value) = (order.key(), order.value().unwrap());
        let record = FutureRecord::to(&topic)
            .key(&key)
            .payload(&value)
            .headers(headers);
        sent.push(
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .unwrap(),
        );
    }
    for delivery in sent {
        delivery.await.unwrap().unwrap();
    }
}

/// Settings that make a collect last long, so that the group rebalances during it.
fn slow_and_small(harness: &Harness) -> MemberSettings {
    let tuning = [
        ("KAFKA_CONSUMER_QUEUED_MIN_MESSAGES", "50"),
        ("KAFKA_CONSUMER_MAX_PARTITION_FETCH_BYTES", "300"),
    ];
    let tuning = tuning.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut settings = harness.settings();
    settings.consumer.batch_max = Some(10_000);
    MemberSettings {
        tuning: ConsumerTuning::from_variables(tuning).unwrap(),
        ..settings
    }
}

/// What went wrong when a second member joined during a collect.
#[derive(Debug, Default)]
struct Damage {
    answered_twice: usize,
    never_answered: usize,
    offsets_went_back: usize,
}

async fn scale_up_during_collect(test: &str) -> Damage {
    let harness = Arc::new(Harness::new(test, PARTITIONS).await);
    let orders = orders(ORDERS);
    publish_in_small_sets(&harness, &orders).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watch = JoinSet::new();
    watch.spawn(watch_commits(Arc::clone(&harness), Arc::clone(&stop)));

    // Reading everything takes one member some seconds, in long collects. The second member joins during one.
    let service = TestService::default();
    service.read_pause_us.store(2_000, Ordering::Relaxed);
    let settings = slow_and_small(&harness);
    let first = start(settings.clone(), service.clone());
    has_read_something(&service).await;
    let second = start(settings, service.clone());
    both_own_partitions(&harness).await;
    service.read_pause_us.store(0, Ordering::Relaxed);
    harness.all_committed().await;
    first.stop().await;
    second.stop().await;

    stop.store(true, Ordering::Relaxed);
    let answers = harness.answers().await;
    Damage {
        answered_twice: answers.values().filter(|times| **times > 1).count(),
        never_answered: orders.len() - answers.len(),
        offsets_went_back: watch.join_next().await.unwrap().unwrap(),
    }
}

/// Waits until both members own partitions: two rebalances, since the first one only revokes partitions.
async fn both_own_partitions(harness: &Harness) {
    eventually(DEADLINE, "both members own partitions", async || {
        let group = harness.try_group().await?;
        let owning = group
            .members
            .iter()
            .filter(|member| !member.assignment.is_empty())
            .count();
        if owning == 2 {
            Ok(())
        } else {
            Err(format!("{group:?}"))
        }
    })
    .await;
}

/// Waits until the group's one member owns all four partitions that payment-service reads here.
async fn owns_all(harness: &Harness) {
    eventually(DEADLINE, "the first member owns all again", async || {
        let group = harness.try_group().await?;
        match group.members.as_slice() {
            // Three partitions of `orders`, one each of `inventory` and `payments.retry`.
            [one] if one.assignment.len() == 5 => Ok(()),
            _ => Err(format!("{group:?}")),
        }
    })
    .await;
}

async fn has_read_something(service: &TestService) {
    eventually(
        DEADLINE,
        "a member has read something",
        async || match service.read.load(Ordering::Relaxed) {
            0 => Err("nothing read yet"),
            _ => Ok(()),
        },
    )
    .await;
}

/// How often a committed offset was lower than before.
async fn watch_commits(harness: Arc<Harness>, stop: Arc<AtomicBool>) -> usize {
    let mut highest: BTreeMap<(String, i32), i64> = BTreeMap::new();
    let mut offsets_went_back = 0;
    while !stop.load(Ordering::Relaxed) {
        // A failed request is repeated.
        let Ok(offsets) = harness.committed_offsets().await else {
            continue;
        };
        for (partition, committed) in offsets {
            let seen = highest.entry(partition).or_insert(committed);
            offsets_went_back += usize::from(committed < *seen);
            *seen = committed.max(*seen);
        }
    }
    assert!(!highest.is_empty(), "no commit was seen");
    offsets_went_back
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joins_during_a_collect_loses_and_doubles_nothing() {
    let damage = scale_up_during_collect("scale").await;
    assert_eq!(
        (
            damage.answered_twice,
            damage.never_answered,
            damage.offsets_went_back
        ),
        (0, 0, 0),
        "{damage:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_reassigned_during_a_pause_are_read_after_it() {
    let harness = Harness::new("pause_scale", 3).await;
    let first = start(harness.settings(), TestService::default());
    first.ready().await;
    first.controls.pause();
    first.reports("paused").await;
    let second = start(harness.settings(), TestService::default());
    both_own_partitions(&harness).await;
    // Resumed while some partitions are revoked. librdkafka returns those as they were revoked: paused.
    first.controls.resume();
    first.ready().await;
    first.reports("consumer ready").await;
    second.stop().await;
    owns_all(&harness).await;
    harness.publish_orders(&orders(300)).await;
    harness.all_committed().await;
    first.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (300, Some(&1)));
}

/// An event that the service skips, so that its batch is only a commit of offsets.
fn reserved(order: &Envelope) -> Envelope {
    let Event::OrderCreated(created) = &order.event else {
        panic!("an order");
    };
    let reserved = InventoryReserved {
        order_id: created.order_id,
        product_id: created.product_id.clone(),
        quantity: created.quantity,
        occurred_at: created.occurred_at,
    };
    Envelope::answer(&order.headers, reserved)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_an_unanswered_commit_is_replaced() {
    let stack = dedicated().await;
    let harness = Harness::on(&stack.bootstrap(), "", 1).await;
    let service = TestService::default();
    service.read_waits.store(true, Ordering::Relaxed);
    let settings = MemberSettings {
        commit_limit: Duration::from_secs(3),
        ..harness.settings()
    };
    let member = start(settings, service.clone());
    member.ready().await;
    harness.publish_orders(&[reserved(&orders(1)[0])]).await;
    // The broker freezes between a record and its commit.
    eventually(DEADLINE, "the record is being read", async || {
        let read = member.service.read.load(Ordering::Relaxed);
        if read > 0 { Ok(()) } else { Err(read) }
    })
    .await;
    stack.pause_kafka();
    service.read_waits.store(false, Ordering::Relaxed);
    eventually(DEADLINE, "the commit limit is reached", async || {
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&member.registry.gather())
            .unwrap();
        match text.contains(r#"consumer_batches_failed_total{stage="commit"} 1"#) {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
    stack.resume_kafka();
    harness.publish_orders(&orders(20)).await;
    harness.all_committed().await;
    member.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (20, Some(&1)));
}
