//! Records that are not from our producers: aborted transactions, other codecs, damage.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests are about other clients than ours"
)]

use std::time::Duration;

use kafka_admin::dead_letters::dead_letters;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use shared_events::{Envelope, Topic};
use test_stack::{DedicatedStack, dedicated, eventually};

use crate::harness::{Harness, start};
use crate::test_service::{TestService, orders};

const TIMEOUT: Duration = Duration::from_secs(30);

fn client(harness: &Harness, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &harness.kafka.bootstrap_servers);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

async fn send(harness: &Harness, producer: &FutureProducer, orders: &[Envelope]) {
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    for order in orders {
        let mut headers = OwnedHeaders::new();
        for (key, value) in order.header_pairs() {
            headers = headers.insert(Header {
                key,
                value: Some(&value),
            });
        }
        let (key, value) = (order.key(), order.value().unwrap());
        let record = FutureRecord::to(&topic)
            .key(&key)
            .payload(&value)
            .headers(headers);
        producer.send(record, TIMEOUT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_an_aborted_transaction_are_not_answered_and_leave_no_lag() {
    let harness = Harness::new("aborted", 1).await;
    let id = harness.kafka.name_prefix.name("test");
    let producer = client(&harness, &[("transactional.id", &id)]);
    producer.init_transactions(TIMEOUT).unwrap();
    let member = start(harness.settings(), TestService::default());
    for abort in [false, true] {
        producer.begin_transaction().unwrap();
        send(&harness, &producer, &orders(5)).await;
        if abort {
            producer.abort_transaction(TIMEOUT).unwrap();
        } else {
            producer.commit_transaction(TIMEOUT).unwrap();
        }
    }
    // The committed offset is the high watermark: after the aborted records and their marker.
    harness.all_committed().await;
    member.stop().await;
    assert_eq!(harness.answers().await.len(), 5);
    assert!(
        harness.uncommitted().await.is_empty(),
        "{}",
        harness.uncommitted().await
    );
}

/// Flips the last byte of the second record set of `orders`, partition 0: once to damage it, a second time to repair it.
fn flip_a_byte_of_the_second_record_set(stack: &DedicatedStack) {
    stack.change_kafka_file("orders-0/00000000000000000000.log", |bytes| {
        // A record set is its base offset (8 bytes), the length of the rest (4 bytes), and the rest (KIP-98).
        let end = |start: usize| {
            start
                + 12
                + u32::from_be_bytes(bytes[start + 8..start + 12].try_into().unwrap()) as usize
        };
        let last = end(end(0)) - 1;
        bytes[last] ^= 0xff;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_set_halts_the_member_until_it_is_repaired() {
    let stack = dedicated().await;
    let harness = Harness::on(&stack.bootstrap(), "", 1).await;
    for _ in 0..3 {
        harness.publish_orders(&orders(1)).await;
    }
    stack.stop_kafka().await;
    flip_a_byte_of_the_second_record_set(&stack);
    stack.start_kafka().await;

    let member = start(harness.settings(), TestService::default());
    member
        .reports("undecodable: the record set at orders/0 offset 1")
        .await;
    assert!(!member.readiness.is_ready());
    assert_eq!(harness.answers().await.len(), 1);

    stack.stop_kafka().await;
    flip_a_byte_of_the_second_record_set(&stack);
    stack.start_kafka().await;
    member.controls.resume();
    eventually(
        crate::harness::DEADLINE,
        "the rest is answered",
        async || {
            let uncommitted = harness
                .try_uncommitted()
                .await
                .map_err(|error| error.to_string())?;
            if uncommitted.is_empty() {
                Ok(())
            } else {
                Err(format!("{uncommitted}; {}", member.readiness))
            }
        },
    )
    .await;
    member.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (3, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_any_compression_codec_are_answered() {
    let harness = Harness::new("codecs", 1).await;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = client(&harness, &[("compression.type", codec), ("linger.ms", "5")]);
        send(&harness, &producer, &orders(3)).await;
    }
    let member = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    member.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (15, Some(&1)));
    assert!(harness.records(Topic::PaymentsDlq).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_too_large_uncompressed_is_left_out_of_its_dead_letter() {
    let harness = Harness::new("packed", 1).await;
    let settings = [
        ("compression.type", "gzip"),
        ("message.max.bytes", "9000000"),
    ];
    let producer = client(&harness, &settings);
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let value = vec![b'x'; 5_000_000];
    let record = FutureRecord::to(&topic).key("k").payload(&value);
    producer.send(record, TIMEOUT).await.unwrap();
    harness.publish_orders(&orders(3)).await;
    for settings in [harness.settings(), harness.at_least_once()] {
        let member = start(settings, TestService::default());
        harness.all_committed().await;
        member.stop().await;
    }
    assert_eq!(harness.answers().await.len(), 3);
    let dead_letters = dead_letters(&harness.cluster, Topic::PaymentsDlq)
        .await
        .unwrap();
    let [dead_letter] = dead_letters.as_slice() else {
        panic!("{dead_letters:?}")
    };
    assert_eq!(
        (&dead_letter.record.key, &dead_letter.record.value),
        (&None, &None)
    );
    let why = dead_letter.headers.as_ref().unwrap();
    assert_eq!(
        (why.original_topic.as_str(), why.original_offset),
        (topic.as_str(), 0)
    );
    let bytes = dead_letter
        .record
        .header_pairs()
        .find(|(name, _)| *name == "dlq-left-out-bytes");
    assert_eq!(bytes.unwrap().1, Some(&b"5000001"[..]));
    let Some(reason) = dead_letter.refusal() else {
        panic!("{dead_letter:?}")
    };
    assert!(
        reason.contains(&format!("{topic}[0] at offset 0")),
        "{reason}"
    );
}
