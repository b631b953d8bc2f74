//! A replay publishes each dead letter once, on a real broker.

use chrono::{TimeZone, Utc};
use kafka_runtime::KafkaSettings;
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::Record;
use kafka_runtime::dead_letter::{self, DeadLetterHeaders, MAX_REPLAYS};
use kafka_admin::replay::{Letter, Replay, ReplayError, Verdict, letters};
use shared_events::{PoisonClass, Service, Topic};
use tokio::sync::Notify;

use crate::committed::committed;

async fn cluster(test: &str) -> Cluster {
    let stack = test_stack::shared().await;
    let settings = KafkaSettings {
        bootstrap_servers: stack.bootstrap().to_owned(),
        name_prefix: stack.unique_prefix(test).parse().unwrap(),
        slot: None,
    };
    let cluster = Cluster::new(&settings).unwrap();
    let topics = [Topic::Payments, Topic::InventoryDlq];
    cluster.create_topics(&topics, None).await.unwrap();
    cluster
}

/// A record that inventory-service set aside, after so many replays.
fn letter(cluster: &Cluster, key: &str, replays: u32) -> RawRecord {
    let group = cluster.prefix().group(Service::Inventory);
    let about = DeadLetterHeaders {
        original_topic: cluster.prefix().topic(Topic::Payments),
        original_partition: 0,
        original_offset: 7,
        original_timestamp_ms: 1,
        consumer_group: group.clone(),
        error_class: PoisonClass::DomainRule,
        error_message: "cannot be taken".to_owned(),
        failed_at: Utc.timestamp_millis_opt(0).unwrap(),
        attempts: 1,
    };
    let text = |(name, value): (&str, String)| (name.to_owned(), Some(value.into_bytes()));
    let mut headers = vec![("event-type".to_owned(), Some(b"PaymentSucceeded".to_vec()))];
    if replays > 0 {
        headers.extend(dead_letter::replay_pairs(replays - 1, &group).map(text));
    }
    headers.extend(about.to_pairs().map(text));
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

async fn replay(cluster: &Cluster) -> Vec<Letter> {
    let mut done = Vec::new();
    let replay = Replay::begin(cluster, Topic::InventoryDlq).await.unwrap();
    replay
        .run(|letters| done.extend_from_slice(letters))
        .await
        .unwrap();
    done
}

#[tokio::test]
async fn a_letter_comes_back_as_it_was_marked_for_the_group_that_could_not_take_it() {
    let cluster = cluster("as-it-was").await;
    cluster
        .publish(&[letter(&cluster, "one", 0)])
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
        ("event-type", "PaymentSucceeded"),
        ("dlq-replay-count", "1"),
        ("dlq-replay-for", group.as_str()),
    ];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn replaying_twice_publishes_once() {
    let cluster = cluster("twice").await;
    let two = [letter(&cluster, "one", 0), letter(&cluster, "two", 0)];
    cluster.publish(&two).await.unwrap();
    assert_eq!(replay(&cluster).await.len(), 2);
    assert_eq!(replay(&cluster).await.len(), 0);
    assert_eq!(replayed(&cluster).await.len(), 2);

    cluster
        .publish(&[letter(&cluster, "three", 0)])
        .await
        .unwrap();
    let seen = letters(&cluster, Topic::InventoryDlq).await.unwrap();
    let left: Vec<_> = seen.iter().filter(|letter| !letter.passed).collect();
    assert_eq!((seen.len(), left.len()), (3, 1));
    assert_eq!(replay(&cluster).await.len(), 1);
    assert_eq!(replayed(&cluster).await.len(), 3);
}

#[tokio::test]
async fn of_two_replays_at_once_the_second_fences_the_first_and_each_letter_is_published_once() {
    let cluster = cluster("fenced").await;
    let many: Vec<_> = (0..500)
        .map(|n| letter(&cluster, &format!("order-{n}"), 0))
        .collect();
    cluster.publish(&many).await.unwrap();
    let first = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    let second = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!((first.letters().len(), second.letters().len()), (500, 500));

    let first = first.run(|_| {}).await;
    assert!(matches!(first, Err(ReplayError::Fenced(_))), "{first:?}");
    second.run(|_| {}).await.unwrap();
    assert_eq!(replayed(&cluster).await.len(), 500);
}

#[tokio::test]
async fn a_replay_that_died_half_way_is_gone_on_with_and_not_repeated() {
    let cluster = cluster("half-way").await;
    let many: Vec<_> = (0..500)
        .map(|n| letter(&cluster, &format!("order-{n}"), 0))
        .collect();
    cluster.publish(&many).await.unwrap();
    let first = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    let committed = Notify::new();
    // Dropped within its second transaction, as if it had been killed there.
    tokio::select! {
        outcome = first.run(|_| committed.notify_one()) => panic!("it was not interrupted: {outcome:?}"),
        () = committed.notified() => {}
    }
    assert_eq!(replay(&cluster).await.len(), 300);
    assert_eq!(replayed(&cluster).await.len(), 500);
}

#[tokio::test]
async fn a_letter_that_was_replayed_too_often_is_refused_and_stays() {
    let cluster = cluster("cap").await;
    let two = [
        letter(&cluster, "often", MAX_REPLAYS),
        letter(&cluster, "last", MAX_REPLAYS - 1),
    ];
    cluster.publish(&two).await.unwrap();
    let done = replay(&cluster).await;
    let refused: Vec<_> = done
        .iter()
        .filter_map(|letter| match &letter.verdict {
            Verdict::Refuse(reason) => Some((letter.record.key.clone().unwrap(), reason.clone())),
            Verdict::Replay { .. } => None,
        })
        .collect();
    let reason = "was replayed 5 times, which is the limit".to_owned();
    assert_eq!(refused, [(b"often".to_vec(), reason)]);

    let records = replayed(&cluster).await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        dead_letter::replay_count(records[0].header_pairs()),
        Ok(MAX_REPLAYS)
    );
    let seen = letters(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!(seen.iter().filter(|letter| letter.passed).count(), 2);
}

#[tokio::test]
async fn what_is_no_dead_letter_is_passed_over_and_does_not_stop_the_others() {
    let cluster = cluster("rubbish").await;
    let rubbish = RawRecord {
        headers: Vec::new(),
        partition: Some(0),
        ..letter(&cluster, "x", 0)
    };
    let mut elsewhere = letter(&cluster, "y", 0);
    let topic = elsewhere
        .headers
        .iter_mut()
        .find(|(name, _)| name == "dlq-original-topic");
    topic.unwrap().1 = Some(b"__consumer_offsets".to_vec());
    let good = RawRecord {
        partition: Some(0),
        ..letter(&cluster, "good", 0)
    };
    cluster.publish(&[rubbish, elsewhere, good]).await.unwrap();
    assert_eq!(replay(&cluster).await.len(), 3);
    let keys: Vec<_> = replayed(&cluster)
        .await
        .into_iter()
        .map(|r| r.key.unwrap())
        .collect();
    assert_eq!(keys, [b"good".to_vec()]);
}

#[tokio::test]
async fn looking_at_the_letters_fences_nobody() {
    let cluster = cluster("dry-run").await;
    cluster
        .publish(&[letter(&cluster, "one", 0)])
        .await
        .unwrap();
    let replay = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    let seen = letters(&cluster, Topic::InventoryDlq).await.unwrap();
    assert!(seen.len() == 1 && !seen[0].passed, "{seen:?}");
    replay.run(|_| {}).await.unwrap();
}

#[tokio::test]
async fn only_dead_letter_topics_are_replayed() {
    let cluster = cluster("no-letters").await;
    let error = Replay::begin(&cluster, Topic::Payments)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, ReplayError::NotDeadLetters(Topic::Payments)),
        "{error}"
    );
}
