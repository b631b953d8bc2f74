//! Poison goes to the dead-letter topic together with its offset, and nothing else does.

use kafka_admin::publish::RawRecord;
use kafka_runtime::dead_letter::DeadLetterHeaders;
use shared_events::{PoisonClass, Topic};

use crate::harness::{Harness, start};
use crate::test_service::{TestService, order, orders};

fn raw(product: &str) -> RawRecord {
    let mut record = RawRecord::event(&order(product)).unwrap();
    record.partition = Some(0);
    record
}

fn with_value(value: &[u8]) -> RawRecord {
    RawRecord {
        value: Some(value.to_vec()),
        ..raw("prod")
    }
}

fn with_json(from: &str, to: &str) -> RawRecord {
    let mut record = raw("prod");
    let json = String::from_utf8(record.value.take().unwrap()).unwrap();
    assert!(json.contains(from), "{json}");
    record.value = Some(json.replace(from, to).into_bytes());
    record
}

fn without_header(name: &str) -> RawRecord {
    let mut record = raw("prod");
    record.headers.retain(|(header, _)| header != name);
    record
}

fn with_header(name: &str, value: Option<&[u8]>) -> RawRecord {
    let mut record = without_header(name);
    record
        .headers
        .push((name.to_owned(), value.map(<[u8]>::to_vec)));
    record
}

/// Every kind of poison, with its expected class.
fn poison_of_every_kind() -> Vec<(RawRecord, PoisonClass)> {
    let mut kinds = vec![
        (with_value(b"{\"orderId\":"), PoisonClass::BadValue),
        (with_value(b""), PoisonClass::BadValue),
        (with_value(b"\xff\xfe{}"), PoisonClass::NotUtf8),
        (with_value(&vec![b'x'; 1_000_000]), PoisonClass::BadValue),
        (
            with_json("\"quantity\":1", "\"quantity\":\"1\""),
            PoisonClass::BadValue,
        ),
        (
            with_json("\"quantity\":1", "\"quantity\":0"),
            PoisonClass::BadValue,
        ),
        (
            with_json("\"amount\":10.00", "\"amount\":-1"),
            PoisonClass::BadValue,
        ),
        (
            with_json("\"productId\":\"prod\"", "\"productId\":\"a\\u0000\""),
            PoisonClass::BadValue,
        ),
        (
            RawRecord {
                value: None,
                ..raw("prod")
            },
            PoisonClass::NullValue,
        ),
        (
            RawRecord {
                key: None,
                ..raw("prod")
            },
            PoisonClass::KeyMismatch,
        ),
        (
            RawRecord {
                key: Some(b"another".to_vec()),
                ..raw("prod")
            },
            PoisonClass::KeyMismatch,
        ),
        (
            with_header("event-id", Some(b"\xff")),
            PoisonClass::BadHeader,
        ),
        (
            with_header("causation-id", Some(b"nobody")),
            PoisonClass::BadHeader,
        ),
        (with_header("traceparent", None), PoisonClass::MissingHeader),
        (
            raw(crate::test_service::REFUSED_BY_RULE),
            PoisonClass::DomainRule,
        ),
        (
            raw(crate::test_service::REFUSED_BY_DATABASE),
            PoisonClass::Database,
        ),
        (
            raw(crate::test_service::PANICS_WHEN_READ),
            PoisonClass::Panic,
        ),
        (
            raw(crate::test_service::PANICS_WHEN_APPLIED),
            PoisonClass::Panic,
        ),
    ];
    for name in [
        "event-type",
        "event-id",
        "correlation-id",
        "causation-id",
        "traceparent",
    ] {
        kinds.push((without_header(name), PoisonClass::MissingHeader));
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_of_every_kind_becomes_a_dead_letter_unchanged() {
    let harness = Harness::new("kinds", 1).await;
    let kinds = poison_of_every_kind();
    let mut records = Vec::new();
    for (poison, _) in &kinds {
        records.push(raw("prod"));
        records.push(poison.clone());
    }
    harness.publish(&records).await;
    let member = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    member.stop().await;

    let answers = harness.answers().await;
    assert_eq!(
        (answers.len(), answers.values().max()),
        (kinds.len(), Some(&1))
    );
    let mut dead_letters = harness.records(Topic::PaymentsDlq).await;
    dead_letters.sort_by_key(|dead_letter| {
        DeadLetterHeaders::from_pairs(dead_letter.header_pairs())
            .unwrap()
            .original_offset
    });
    assert_eq!(dead_letters.len(), kinds.len());
    for (place, (dead_letter, (poison, class))) in dead_letters.iter().zip(&kinds).enumerate() {
        let why = DeadLetterHeaders::from_pairs(dead_letter.header_pairs()).unwrap();
        assert_eq!(why.error_class, *class, "{}", why.error_message);
        assert_eq!(
            why.original_topic,
            harness.kafka.name_prefix.topic(Topic::Orders)
        );
        assert_eq!(
            (why.original_partition, why.original_offset),
            (0, 2 * place as i64 + 1)
        );
        assert_eq!(
            (&dead_letter.key, &dead_letter.value),
            (&poison.key, &poison.value)
        );
        assert_eq!(
            dead_letter.headers.as_ref().unwrap()[..poison.headers.len()],
            poison.headers
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_poison_record_of_a_topic_becomes_a_dead_letter() {
    let harness = Harness::new("largest", 1).await;
    // The overhead of a record set with one record is found by trying.
    let (mut size, mut refused) = (1_000_000, 1_048_576);
    while refused - size > 1 {
        let middle = size + (refused - size) / 2;
        match harness
            .cluster
            .publish(&[with_value(&vec![b'\xff'; middle])])
            .await
        {
            Ok(_) => size = middle,
            Err(_) => refused = middle,
        }
    }
    harness
        .publish(&[with_value(&vec![b'\xff'; size]), raw("prod")])
        .await;
    let member = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    member.stop().await;
    assert_eq!(harness.answers().await.len(), 1);
    let largest = harness
        .records(Topic::PaymentsDlq)
        .await
        .iter()
        .map(|dead_letter| dead_letter.value.as_ref().unwrap().len())
        .max();
    assert_eq!(largest, Some(size));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retryable_failure_makes_no_dead_letter() {
    let harness = Harness::new("outage", 1).await;
    harness.publish_orders(&orders(100)).await;
    let service = TestService::default();
    service
        .fail_next
        .store(5, std::sync::atomic::Ordering::Relaxed);
    let member = start(harness.settings(), service);
    harness.all_committed().await;
    member.stop().await;
    assert!(harness.records(Topic::PaymentsDlq).await.is_empty());
    assert_eq!(harness.answers().await.len(), 100);
}
