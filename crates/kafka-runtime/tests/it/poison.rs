//! Poison: what can never be taken is set aside together with its offset, and nothing else is.

use kafka_runtime::Protection;
use kafka_admin::publish::RawRecord;
use kafka_runtime::dead_letter::DeadLetterHeaders;
use kafka_runtime::settings::PoisonPolicy;
use shared_events::{PoisonClass, Topic};
use test_stack::eventually;

use crate::rig::{Rig, Watched, order, orders, start};

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

/// Every kind of poison there is, with the class it must get.
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
        (raw(crate::rig::REFUSED_BY_RULE), PoisonClass::DomainRule),
        (raw(crate::rig::REFUSED_BY_DATABASE), PoisonClass::Database),
        (raw(crate::rig::PANICS_WHEN_READ), PoisonClass::Panic),
        (raw(crate::rig::PANICS_WHEN_APPLIED), PoisonClass::Panic),
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
async fn poison_of_every_kind_is_set_aside_unchanged_and_what_lies_between_is_answered() {
    let rig = Rig::new("kinds", 1).await;
    let kinds = poison_of_every_kind();
    let mut records = Vec::new();
    for (poison, _) in &kinds {
        records.push(raw("prod"));
        records.push(poison.clone());
    }
    rig.publish(&records).await;
    let member = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    member.stop().await;

    let answers = rig.answers().await;
    assert_eq!(
        (answers.len(), answers.values().max()),
        (kinds.len(), Some(&1))
    );
    let mut letters = rig.records(Topic::PaymentsDlq).await;
    letters.sort_by_key(|letter| {
        DeadLetterHeaders::from_pairs(letter.header_pairs())
            .unwrap()
            .original_offset
    });
    assert_eq!(letters.len(), kinds.len());
    for (place, (letter, (poison, class))) in letters.iter().zip(&kinds).enumerate() {
        let why = DeadLetterHeaders::from_pairs(letter.header_pairs()).unwrap();
        assert_eq!(why.error_class, *class, "{}", why.error_message);
        assert_eq!(
            why.original_topic,
            rig.kafka.name_prefix.topic(Topic::Orders)
        );
        assert_eq!(
            (why.original_partition, why.original_offset),
            (0, 2 * place as i64 + 1)
        );
        assert_eq!((&letter.key, &letter.value), (&poison.key, &poison.value));
        assert_eq!(
            letter.headers.as_ref().unwrap()[..poison.headers.len()],
            poison.headers
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_as_large_as_its_topic_allows_is_set_aside() {
    let rig = Rig::new("largest", 1).await;
    // What a record set of one record adds to its value is found by asking the broker.
    let (mut size, mut refused) = (1_000_000, 1_048_576);
    while refused - size > 1 {
        let middle = size + (refused - size) / 2;
        match rig
            .cluster
            .publish(&[with_value(&vec![b'\xff'; middle])])
            .await
        {
            Ok(_) => size = middle,
            Err(_) => refused = middle,
        }
    }
    rig.publish(&[with_value(&vec![b'\xff'; size]), raw("prod")])
        .await;
    let member = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    member.stop().await;
    assert_eq!(rig.answers().await.len(), 1);
    let largest = rig
        .records(Topic::PaymentsDlq)
        .await
        .iter()
        .map(|letter| letter.value.as_ref().unwrap().len())
        .max();
    assert_eq!(largest, Some(size));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_poison_halts_the_member_at_the_limit_and_each_resume_allows_as_many_again() {
    let rig = Rig::new("limit", 1).await;
    let mut records: Vec<_> = (0..25).map(|_| raw(crate::rig::REFUSED_BY_RULE)).collect();
    records.push(raw("prod"));
    rig.publish(&records).await;
    let mut settings = rig.settings();
    settings.consumer.poison_limit = 10;
    let topic = rig.kafka.name_prefix.topic(Topic::Orders);
    let member = start(settings, Watched::default());
    for (set_aside, last) in [(10, 9), (20, 19)] {
        member
            .says(&format!(
                "poison_limit: 10 poison records in a row, the last at {topic}/0 offset {last}"
            ))
            .await;
        assert!(!member.readiness.is_ready());
        // A commit is answered when it is decided; readers see it when the markers are written, a moment later.
        eventually(crate::rig::DEADLINE, "as many letters", async || match rig
            .records(Topic::PaymentsDlq)
            .await
            .len()
        {
            found if found == set_aside => Ok(()),
            found => Err(found),
        })
        .await;
        member.controls.resume();
    }
    rig.all_committed().await;
    member.ready().await;
    member.stop().await;
    assert_eq!(rig.records(Topic::PaymentsDlq).await.len(), 25);
    assert_eq!(rig.answers().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_also_holds_for_poison_that_only_the_effect_shows_and_comes_one_by_one() {
    let rig = Rig::new("limit_effect", 1).await;
    let records: Vec<_> = (0..8)
        .map(|_| raw(crate::rig::PANICS_WHEN_APPLIED))
        .collect();
    rig.publish(&records).await;
    let mut settings = rig.settings();
    settings.consumer.poison_limit = 5;
    settings.consumer.batch_max = Some(1);
    let member = start(settings, Watched::default());
    member.says("poison_limit: 5").await;
    member.stop().await;
    assert_eq!(rig.records(Topic::PaymentsDlq).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_poison_limit_a_run_of_poison_drains_into_the_dead_letters() {
    let rig = Rig::new("no_limit", 1).await;
    let records: Vec<_> = (0..25).map(|_| raw(crate::rig::REFUSED_BY_RULE)).collect();
    rig.publish(&records).await;
    let mut settings = rig.without(Protection::PoisonLimit);
    settings.consumer.poison_limit = 10;
    let member = start(settings, Watched::default());
    rig.all_committed().await;
    member.stop().await;
    assert_eq!(rig.records(Topic::PaymentsDlq).await.len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_policy_block_one_partition_stands_still_and_the_others_go_on() {
    let rig = Rig::new("block", 2).await;
    let at = |partition, record: RawRecord| RawRecord {
        partition: Some(partition),
        ..record
    };
    rig.publish(&[
        at(0, raw("prod")),
        at(0, raw(crate::rig::REFUSED_BY_RULE)),
        at(0, raw("prod")),
    ])
    .await;
    rig.publish(&(0..50).map(|_| at(1, raw("prod"))).collect::<Vec<_>>())
        .await;
    let mut settings = rig.settings();
    settings.consumer.poison_policy = PoisonPolicy::Block;
    let member = start(settings, Watched::default());
    let topic = rig.kafka.name_prefix.topic(Topic::Orders);
    let blocked = format!("blocked: {topic}/0 stands at offset 1 before a poison record");
    member.says(&blocked).await;
    eventually(
        crate::rig::DEADLINE,
        "all but the blocked partition is answered",
        async || {
            let uncommitted = rig.uncommitted().await;
            if uncommitted.count() <= 3 && rig.answers().await.len() == 51 {
                Ok(())
            } else {
                Err(uncommitted.to_string())
            }
        },
    )
    .await;
    // It says so all the time, and not only of a batch that held the record.
    let more = async {
        for more in 1..=10 {
            rig.publish(&[at(1, raw("prod"))]).await;
            eventually(
                crate::rig::DEADLINE,
                "one more is answered",
                async || match rig.answers().await.len() {
                    all if all == 51 + more => Ok(()),
                    all => Err(all),
                },
            )
            .await;
        }
    };
    tokio::select! {
        report = member.no_longer_says(&blocked) => panic!("{report}"),
        () = more => {}
    }
    member.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (61, Some(&1)));
    assert!(rig.records(Topic::PaymentsDlq).await.is_empty());
    assert!(!rig.uncommitted().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_no_poison() {
    let rig = Rig::new("outage", 1).await;
    rig.publish_orders(&orders(100)).await;
    let service = Watched::default();
    service
        .fail_next
        .store(5, std::sync::atomic::Ordering::Relaxed);
    let member = start(rig.settings(), service);
    rig.all_committed().await;
    member.stop().await;
    assert!(rig.records(Topic::PaymentsDlq).await.is_empty());
    assert_eq!(rig.answers().await.len(), 100);
}
