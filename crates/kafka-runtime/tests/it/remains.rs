//! What other clients leave in a topic: aborted transactions, codecs, damage.
#![allow(
    clippy::disallowed_methods,
    reason = "other clients than ours are the subject"
)]

use std::time::Duration;

use kafka_admin::dead_letters::{ReplayDecision, dead_letters};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use shared_events::{Envelope, Topic};
use test_stack::{DedicatedStack, eventually, dedicated};

use crate::rig::{Rig, Watched, orders, start};

const TIMEOUT: Duration = Duration::from_secs(30);

fn client(rig: &Rig, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &rig.kafka.bootstrap_servers);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

async fn send(rig: &Rig, producer: &FutureProducer, orders: &[Envelope]) {
    let topic = rig.kafka.name_prefix.topic(Topic::Orders);
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
    let rig = Rig::new("aborted", 1).await;
    let id = rig.kafka.name_prefix.name("test");
    let producer = client(&rig, &[("transactional.id", &id)]);
    producer.init_transactions(TIMEOUT).unwrap();
    let member = start(rig.settings(), Watched::default());
    for abort in [false, true] {
        producer.begin_transaction().unwrap();
        send(&rig, &producer, &orders(5)).await;
        if abort {
            producer.abort_transaction(TIMEOUT).unwrap();
        } else {
            producer.commit_transaction(TIMEOUT).unwrap();
        }
    }
    // The committed offset is the high watermark: after the aborted records and their marker.
    rig.all_committed().await;
    member.stop().await;
    assert_eq!(rig.answers().await.len(), 5);
    assert!(rig.uncommitted().await.is_empty(), "{}", rig.uncommitted().await);
}

/// Flips the last byte of the second record set of `orders`, partition 0: once to damage it, once more to mend it.
fn flip_a_byte_of_the_second_record_set(own: &DedicatedStack) {
    own.change_kafka_file("orders-0/00000000000000000000.log", |bytes| {
        // A record set is its base offset (8 bytes), its length behind that field (4 bytes), and that many bytes (KIP-98).
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
async fn a_damaged_record_set_halts_the_member_and_is_read_once_it_is_mended() {
    let own = dedicated().await;
    let rig = Rig::on(&own.bootstrap(), "", 1).await;
    for _ in 0..3 {
        rig.publish_orders(&orders(1)).await;
    }
    own.stop_kafka().await;
    flip_a_byte_of_the_second_record_set(&own);
    own.start_kafka().await;

    let member = start(rig.settings(), Watched::default());
    member
        .says("undecodable: the record set at orders/0 offset 1")
        .await;
    assert!(!member.readiness.is_ready());
    assert_eq!(rig.answers().await.len(), 1);

    own.stop_kafka().await;
    flip_a_byte_of_the_second_record_set(&own);
    own.start_kafka().await;
    member.controls.resume();
    eventually(crate::rig::DEADLINE, "the rest is answered", async || {
        let uncommitted = rig.try_uncommitted().await.map_err(|error| error.to_string())?;
        if uncommitted.is_empty() {
            Ok(())
        } else {
            Err(format!("{uncommitted}; {}", member.readiness))
        }
    })
    .await;
    member.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (3, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_packed_by_any_codec_are_answered() {
    let rig = Rig::new("codecs", 1).await;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = client(&rig, &[("compression.type", codec), ("linger.ms", "5")]);
        send(&rig, &producer, &orders(3)).await;
    }
    let member = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    member.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (15, Some(&1)));
    assert!(rig.records(Topic::PaymentsDlq).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_unpacks_to_more_than_a_letter_can_hold_is_left_out_of_it() {
    let rig = Rig::new("packed", 1).await;
    let settings = [
        ("compression.type", "gzip"),
        ("message.max.bytes", "9000000"),
    ];
    let producer = client(&rig, &settings);
    let topic = rig.kafka.name_prefix.topic(Topic::Orders);
    let value = vec![b'x'; 5_000_000];
    let record = FutureRecord::to(&topic).key("k").payload(&value);
    producer.send(record, TIMEOUT).await.unwrap();
    rig.publish_orders(&orders(3)).await;
    for settings in [rig.settings(), rig.at_least_once()] {
        let member = start(settings, Watched::default());
        rig.all_committed().await;
        member.stop().await;
    }
    assert_eq!(rig.answers().await.len(), 3);
    let letters = dead_letters(&rig.cluster, Topic::PaymentsDlq).await.unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!((&letter.record.key, &letter.record.value), (&None, &None));
    let why = letter.headers.as_ref().unwrap();
    assert_eq!(
        (why.original_topic.as_str(), why.original_offset),
        (topic.as_str(), 0)
    );
    let bytes = letter
        .record
        .header_pairs()
        .find(|(name, _)| *name == "dlq-left-out-bytes");
    assert_eq!(bytes.unwrap().1, Some(&b"5000001"[..]));
    let ReplayDecision::Refuse(reason) = &letter.decision else {
        panic!("{letter:?}")
    };
    assert!(
        reason.contains(&format!("{topic}[0] at offset 0")),
        "{reason}"
    );
}
