//! A replay publishes each dead letter once, on a real broker.

use chrono::{TimeZone, Utc};
use kafka_admin::Cluster;
use kafka_admin::dead_letters::{
    DeadLetter, DeadLetterHeaders, MAX_REPLAYS, dead_letters, replay_count, replay_pairs,
};
use kafka_admin::publish::RawRecord;
use kafka_admin::records::Record;
use kafka_admin::replay::{Replay, ReplayError};
use shared_events::headers::EVENT_TYPE;
use shared_events::headers::dead_letter::{ORIGINAL_TOPIC, REPLAY_COUNT, REPLAY_FOR};
use shared_events::{PoisonClass, Service, Topic};
use tokio::sync::Notify;

use crate::committed::committed;
use crate::support;

pub async fn cluster(test: &str) -> Cluster {
    let cluster = support::cluster(test).await;
    let topics = [Topic::Payments, Topic::InventoryDlq];
    cluster.create_topics(&topics, None).await.unwrap();
    cluster
}

/// A dead letter of inventory-service whose record was replayed this often.
pub fn dead_letter_record(cluster: &Cluster, key: &str, replays: u32) -> RawRecord {
    let group = cluster.prefix().group(Service::Inventory);
    let dead_letter_headers = DeadLetterHeaders {
        original_topic: cluster.prefix().topic(Topic::Payments),
        original_partition: 0,
        original_offset: 7,
        original_timestamp_ms: 1,
        consumer_group: group.clone(),
        error_class: PoisonClass::DomainRule,
        error_message: "rejected".to_owned(),
        failed_at: Utc.timestamp_millis_opt(0).unwrap(),
        attempts: 1,
    };
    let text = |(name, value): (&str, String)| (name.to_owned(), Some(value.into_bytes()));
    let mut headers = vec![(EVENT_TYPE.to_owned(), Some(b"PaymentSucceeded".to_vec()))];
    if replays > 0 {
        headers.extend(replay_pairs(replays - 1, &group).map(text));
    }
    headers.extend(dead_letter_headers.to_pairs().map(text));
    RawRecord {
        topic: Topic::InventoryDlq,
        partition: None,
        key: Some(key.as_bytes().to_vec()),
        headers,
        value: Some(format!("value of {key}").into_bytes()),
    }
}

async fn replayed(cluster: &Cluster) -> Vec<Record> {
    committed(cluster, Topic::Payments).await
}

pub async fn replay(cluster: &Cluster) -> Vec<DeadLetter> {
    let mut done = Vec::new();
    let replay = Replay::begin(cluster, Topic::InventoryDlq).await.unwrap();
    replay
        .run(|batch| done.extend_from_slice(batch))
        .await
        .unwrap();
    done
}

#[tokio::test]
async fn a_replayed_record_is_the_original_plus_headers_for_its_group() {
    let cluster = cluster("original").await;
    cluster
        .publish(&[dead_letter_record(&cluster, "one", 0)])
        .await
        .unwrap();
    assert_eq!(replay(&cluster).await.len(), 1);

    let records = replayed(&cluster).await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.key.as_deref(), Some(&b"one"[..]));
    assert_eq!(record.value.as_deref(), Some(&b"value of one"[..]));
    let headers: Vec<_> = record
        .header_pairs()
        .map(|(name, value)| (name, std::str::from_utf8(value.unwrap()).unwrap()))
        .collect();
    let group = cluster.prefix().group(Service::Inventory);
    let expected = [
        (EVENT_TYPE, "PaymentSucceeded"),
        (REPLAY_COUNT, "1"),
        (REPLAY_FOR, group.as_str()),
    ];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn replaying_twice_publishes_once() {
    let cluster = cluster("twice").await;
    let two = [
        dead_letter_record(&cluster, "one", 0),
        dead_letter_record(&cluster, "two", 0),
    ];
    cluster.publish(&two).await.unwrap();
    assert_eq!(replay(&cluster).await.len(), 2);
    assert_eq!(replay(&cluster).await.len(), 0);
    assert_eq!(replayed(&cluster).await.len(), 2);

    cluster
        .publish(&[dead_letter_record(&cluster, "three", 0)])
        .await
        .unwrap();
    let seen = dead_letters(&cluster, Topic::InventoryDlq).await.unwrap();
    let left = seen.iter().filter(|one| one.is_waiting()).count();
    assert_eq!((seen.len(), left), (3, 1));
    assert_eq!(replay(&cluster).await.len(), 1);
    assert_eq!(replayed(&cluster).await.len(), 3);
}

#[tokio::test]
async fn a_second_replay_fences_the_first_and_publishes_each_once() {
    let cluster = cluster("fenced").await;
    let many: Vec<_> = (0..500)
        .map(|n| dead_letter_record(&cluster, &format!("order-{n}"), 0))
        .collect();
    cluster.publish(&many).await.unwrap();
    let first = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    let second = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!(
        (first.dead_letters().len(), second.dead_letters().len()),
        (500, 500)
    );

    let first = first.run(|_| {}).await;
    assert!(matches!(first, Err(ReplayError::Fenced(_))), "{first:?}");
    second.run(|_| {}).await.unwrap();
    assert_eq!(replayed(&cluster).await.len(), 500);
}

#[tokio::test]
async fn an_interrupted_replay_is_continued_and_not_repeated() {
    let cluster = cluster("half-way").await;
    let many: Vec<_> = (0..500)
        .map(|n| dead_letter_record(&cluster, &format!("order-{n}"), 0))
        .collect();
    cluster.publish(&many).await.unwrap();
    let first = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    let committed = Notify::new();
    // Dropped inside its second transaction, like a killed process.
    tokio::select! {
        outcome = first.run(|_| committed.notify_one()) => panic!("the replay was not interrupted: {outcome:?}"),
        () = committed.notified() => {}
    }
    assert_eq!(replay(&cluster).await.len(), 300);
    assert_eq!(replayed(&cluster).await.len(), 500);
}

#[tokio::test]
async fn a_dead_letter_replayed_too_often_is_refused_and_stays() {
    let cluster = cluster("cap").await;
    let two = [
        dead_letter_record(&cluster, "often", MAX_REPLAYS),
        dead_letter_record(&cluster, "last", MAX_REPLAYS - 1),
    ];
    cluster.publish(&two).await.unwrap();
    let done = replay(&cluster).await;
    let refused: Vec<_> = done
        .iter()
        .filter_map(|one| Some((one.record.key.clone().unwrap(), one.refusal()?)))
        .collect();
    let reason = "was replayed 5 times, which is the limit";
    assert_eq!(refused, [(b"often".to_vec(), reason)]);

    let records = replayed(&cluster).await;
    assert_eq!(records.len(), 1);
    assert_eq!(replay_count(records[0].header_pairs()), Ok(MAX_REPLAYS));
    let seen = dead_letters(&cluster, Topic::InventoryDlq).await.unwrap();
    let waiting: Vec<_> = seen.iter().filter(|one| one.is_waiting()).collect();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].refusal(), Some(reason));
}

#[tokio::test]
async fn a_record_that_is_no_dead_letter_does_not_stop_the_others() {
    let cluster = cluster("invalid").await;
    let invalid = RawRecord {
        headers: Vec::new(),
        partition: Some(0),
        ..dead_letter_record(&cluster, "x", 0)
    };
    let mut elsewhere = dead_letter_record(&cluster, "y", 0);
    let topic = elsewhere
        .headers
        .iter_mut()
        .find(|(name, _)| name == ORIGINAL_TOPIC);
    topic.unwrap().1 = Some(b"__consumer_offsets".to_vec());
    let good = RawRecord {
        partition: Some(0),
        ..dead_letter_record(&cluster, "good", 0)
    };
    cluster.publish(&[invalid, elsewhere, good]).await.unwrap();
    assert_eq!(replay(&cluster).await.len(), 3);
    let keys: Vec<_> = replayed(&cluster)
        .await
        .into_iter()
        .map(|r| r.key.unwrap())
        .collect();
    assert_eq!(keys, [b"good".to_vec()]);
}

#[tokio::test]
async fn reading_dead_letters_fences_no_replay() {
    let cluster = cluster("dry-run").await;
    cluster
        .publish(&[dead_letter_record(&cluster, "one", 0)])
        .await
        .unwrap();
    let replay = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    let seen = dead_letters(&cluster, Topic::InventoryDlq).await.unwrap();
    assert!(seen.len() == 1 && seen[0].is_waiting(), "{seen:?}");
    replay.run(|_| {}).await.unwrap();
}

#[tokio::test]
async fn only_dead_letter_topics_are_replayed() {
    let cluster = cluster("no-dead-letters").await;
    let error = Replay::begin(&cluster, Topic::Payments)
        .await
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("payments is no dead-letter topic"),
        "{error}"
    );
}
