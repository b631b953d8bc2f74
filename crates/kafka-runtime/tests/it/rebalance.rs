//! What a member promises while its group changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_runtime::{ConsumerTuning, MemberSettings};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use shared_events::{Envelope, Event, InventoryReserved, Topic};
use test_stack::{eventually, dedicated};
use tokio::task::JoinSet;

use crate::rig::{DEADLINE, Rig, Watched, orders, start};

const PARTITIONS: i32 = 6;
const ORDERS: usize = 3_000;

/// Publishes in record sets of a few records: a consumer that fetches little at a time then polls without a pause for as long
/// as it is slow.
#[allow(
    clippy::disallowed_methods,
    reason = "the service's producers make large record sets"
)]
async fn publish_in_small_sets(rig: &Rig, orders: &[Envelope]) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &rig.kafka.bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("batch.num.messages", "5")
        .set("linger.ms", "0")
        .create()
        .unwrap();
    let topic = rig.kafka.name_prefix.topic(Topic::Orders);
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

/// Settings that make a collect last long, so that the group changes in the middle of it.
fn slow_and_small(rig: &Rig) -> MemberSettings {
    let tuning = [
        ("KAFKA_CONSUMER_QUEUED_MIN_MESSAGES", "50"),
        ("KAFKA_CONSUMER_MAX_PARTITION_FETCH_BYTES", "300"),
    ];
    let tuning = tuning.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut settings = rig.settings();
    settings.consumer.batch_max = Some(10_000);
    MemberSettings {
        tuning: ConsumerTuning::from_variables(tuning).unwrap(),
        ..settings
    }
}

/// What went wrong while a second member joined in the middle of a collect.
#[derive(Debug, Default)]
struct Damage {
    told_twice: usize,
    never_told: usize,
    went_back: usize,
}

async fn scale_up_during_collect(test: &str) -> Damage {
    let rig = Arc::new(Rig::new(test, PARTITIONS).await);
    let orders = orders(ORDERS);
    publish_in_small_sets(&rig, &orders).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watch = JoinSet::new();
    watch.spawn(watch_commits(Arc::clone(&rig), Arc::clone(&stop)));

    // Reading all takes one member some seconds, in collects that hardly end: there the second one joins.
    let service = Watched::default();
    service.read_pause_us.store(2_000, Ordering::Relaxed);
    let settings = slow_and_small(&rig);
    let first = start(settings.clone(), service.clone());
    has_read_something(&service).await;
    let second = start(settings, service.clone());
    both_own_partitions(&rig).await;
    service.read_pause_us.store(0, Ordering::Relaxed);
    rig.all_committed().await;
    first.stop().await;
    second.stop().await;

    stop.store(true, Ordering::Relaxed);
    let answers = rig.answers().await;
    Damage {
        told_twice: answers.values().filter(|times| **times > 1).count(),
        never_told: orders.len() - answers.len(),
        went_back: watch.join_next().await.unwrap().unwrap(),
    }
}

/// Waits until the group has given partitions to its second member: two rebalances, since the first one only takes them from
/// the other.
async fn both_own_partitions(rig: &Rig) {
    eventually(DEADLINE, "both members own partitions", async || {
        let group = rig.group().await?;
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
async fn owns_all(rig: &Rig) {
    eventually(DEADLINE, "the first member owns all again", async || {
        let group = rig.group().await?;
        match group.members.as_slice() {
            [one] if one.assignment.len() == 4 => Ok(()),
            _ => Err(format!("{group:?}")),
        }
    })
    .await;
}

async fn has_read_something(service: &Watched) {
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

/// How often a committed offset was lower than it had been.
async fn watch_commits(rig: Arc<Rig>, stop: Arc<AtomicBool>) -> usize {
    let mut highest: BTreeMap<(String, i32), i64> = BTreeMap::new();
    let mut went_back = 0;
    while !stop.load(Ordering::Relaxed) {
        // What cannot be asked now is asked again.
        let Ok(offsets) = rig.committed_offsets().await else {
            continue;
        };
        for (partition, committed) in offsets {
            let seen = highest.entry(partition).or_insert(committed);
            went_back += usize::from(committed < *seen);
            *seen = committed.max(*seen);
        }
    }
    assert!(!highest.is_empty(), "no commit was seen");
    went_back
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_joins_during_a_collect_costs_no_answer_and_doubles_none() {
    let damage = scale_up_during_collect("scale").await;
    assert_eq!(
        (damage.told_twice, damage.never_told, damage.went_back),
        (0, 0, 0),
        "{damage:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_while_orders_flow_and_each_order_is_answered_once() {
    let rig = Rig::new("come_and_go", 3).await;
    let service = Watched::default();
    service.read_pause_us.store(100, Ordering::Relaxed);
    let mut members = vec![start(rig.settings(), service.clone())];
    let mut published = 0;
    for turn in 0..6 {
        rig.publish_orders(&orders(2_000)).await;
        published += 2_000;
        if turn % 3 < 2 {
            members.push(start(rig.settings(), service.clone()));
            members.last().unwrap().ready().await;
        } else {
            members.remove(0).stop().await;
        }
    }
    rig.all_committed().await;
    for member in members {
        member.stop().await;
    }
    let answers = rig.answers().await;
    assert_eq!(
        (answers.len(), answers.values().max()),
        (published, Some(&1))
    );
    assert!(rig.uncommitted().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_left_and_came_back_during_a_pause_are_read_after_it() {
    let rig = Rig::new("pause_scale", 3).await;
    let first = start(rig.settings(), Watched::default());
    first.ready().await;
    first.controls.pause();
    first.says("paused").await;
    let second = start(rig.settings(), Watched::default());
    both_own_partitions(&rig).await;
    // Resumed while some are away: those come back as they left, paused.
    first.controls.resume();
    first.ready().await;
    first.says("consumer ready").await;
    second.stop().await;
    owns_all(&rig).await;
    rig.publish_orders(&orders(300)).await;
    rig.all_committed().await;
    first.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (300, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_more_than_there_are_partitions_is_idle_and_ready() {
    let rig = Rig::new("idle", 1).await;
    let settings = rig.settings();
    // payment-service reads two topics of one partition each, so three members are one too many.
    let members: Vec<_> = (0..3)
        .map(|_| start(settings.clone(), Watched::default()))
        .collect();
    for member in &members {
        member.ready().await;
    }
    for member in members {
        member.stop().await;
    }
}

/// Something this service passes over, so that its batch is nothing but a commit.
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
async fn a_consumer_whose_commit_is_not_answered_is_replaced_and_the_member_goes_on() {
    let own = dedicated().await;
    let rig = Rig::on(&own.bootstrap(), "", 1).await;
    let service = Watched::default();
    service.read_waits.store(true, Ordering::Relaxed);
    let settings = MemberSettings {
        commit_limit: Duration::from_secs(3),
        ..rig.settings()
    };
    let member = start(settings, service.clone());
    member.ready().await;
    rig.publish_orders(&[reserved(&orders(1)[0])]).await;
    // The broker freezes between a record and its commit.
    eventually(DEADLINE, "the record is being read", async || {
        let read = member.service.read.load(Ordering::Relaxed);
        if read > 0 { Ok(()) } else { Err(read) }
    })
    .await;
    own.pause_kafka();
    service.read_waits.store(false, Ordering::Relaxed);
    eventually(DEADLINE, "the commit is given up", async || {
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&member.registry.gather())
            .unwrap();
        match text.contains(r#"consumer_batches_failed_total{stage="settle"} 1"#) {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
    own.resume_kafka();
    rig.publish_orders(&orders(20)).await;
    rig.all_committed().await;
    member.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (20, Some(&1)));
}
