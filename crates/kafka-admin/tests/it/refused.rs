//! Dead letters that cannot be replayed: they are named, the others are replayed, and a person can
//! discard them. On a real broker.

use kafka_admin::Cluster;
use kafka_admin::dead_letters::{DeadLetter, DeadLetterState, dead_letters, deleted_before_replay};
use kafka_admin::discard::discard;
use kafka_admin::publish::RawRecord;
use kafka_admin::replay::Replay;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use shared_events::Topic;

use crate::committed::committed;
use crate::replay::{cluster, dead_letter_record, replay};
use crate::support::{client_config, delete_before};

/// Incompressible bytes. With these and its own headers, a record just fits into `payments`; with
/// the headers of a replay it does not.
const NEARLY_TOO_LARGE: usize = 1_048_420;

fn in_partition_0(cluster: &Cluster, key: &str, value: Option<Vec<u8>>) -> RawRecord {
    let record = dead_letter_record(cluster, key, 0);
    RawRecord {
        partition: Some(0),
        value: value.or(record.value),
        ..record
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..))
        .take(bytes)
        .collect()
}

/// Small, large, small: offsets 0 to 2 of partition 0.
async fn publish_three(cluster: &Cluster, large: Vec<u8>) {
    let three = [
        in_partition_0(cluster, "first", None),
        in_partition_0(cluster, "large", Some(large)),
        in_partition_0(cluster, "last", None),
    ];
    let places = cluster.publish(&three).await.unwrap();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2)]);
}

/// The key of each dead letter, and whether the replay refuses it.
fn refused(all: &[DeadLetter]) -> Vec<(String, bool)> {
    let key = |one: &DeadLetter| String::from_utf8(one.record.key.clone().unwrap()).unwrap();
    all.iter()
        .map(|one| (key(one), one.refusal().is_some()))
        .collect()
}

async fn replayed_keys(cluster: &Cluster) -> Vec<String> {
    let records = committed(cluster, Topic::Payments).await;
    let mut keys: Vec<String> = records
        .into_iter()
        .map(|record| String::from_utf8(record.key.unwrap()).unwrap())
        .collect();
    keys.sort();
    keys
}

async fn set_limit(cluster: &Cluster, bytes: &str) {
    let admin: AdminClient<DefaultClientContext> = client_config(cluster).create().unwrap();
    let name = cluster.prefix().topic(Topic::Payments);
    let config = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", bytes);
    let altered = admin.alter_configs(&[config], &AdminOptions::new()).await;
    assert!(altered.unwrap().iter().all(Result::is_ok));
}

fn of_three(large_is_refused: bool) -> Vec<(String, bool)> {
    [
        ("first", false),
        ("large", large_is_refused),
        ("last", false),
    ]
    .map(|(key, refused)| (key.to_owned(), refused))
    .into()
}

#[tokio::test]
async fn what_does_not_fit_is_refused_as_the_dry_run_says_and_can_be_discarded() {
    let cluster = cluster("refused").await;
    publish_three(&cluster, noise(NEARLY_TOO_LARGE)).await;
    let dry_run = dead_letters(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!(refused(&dry_run), of_three(true));
    assert_eq!(refused(&replay(&cluster).await), of_three(true));
    assert_eq!(replayed_keys(&cluster).await, ["first", "last"]);

    // Nothing is published twice, and the refused one is named again.
    let again = replay(&cluster).await;
    assert_eq!(refused(&again), [("large".to_owned(), true)]);
    let reason = again[0].refusal().unwrap();
    assert!(reason.contains("max.message.bytes"), "{reason}");
    assert_eq!(replayed_keys(&cluster).await.len(), 2);

    let give_up = async |offset| {
        let reason = Some("a test order");
        discard(&cluster, Topic::InventoryDlq, 0, offset, reason).await
    };
    for (offset, text) in [(0, "was replayed"), (9, "there is no dead letter")] {
        let error = give_up(offset).await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    give_up(1).await.unwrap();
    let seen = dead_letters(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!(seen.len(), 3, "outcome records are no dead letters");
    let DeadLetterState::Discarded { reason, at_ms } = &seen[1].state else {
        panic!("{:?}", seen[1].state)
    };
    assert_eq!(reason.as_deref(), Some("a test order"));
    assert!(at_ms.is_some());
    assert!(
        give_up(1)
            .await
            .unwrap_err()
            .to_string()
            .contains("already")
    );
    assert_eq!(replay(&cluster).await.len(), 0);
    assert_eq!(replayed_keys(&cluster).await.len(), 2);

    // Nothing waits, so the group has no lag: only the marker of the last transaction follows.
    let name = cluster.prefix().topic(Topic::InventoryDlq);
    let group = cluster.prefix().replay_group(Topic::InventoryDlq);
    let topics = [name.clone()];
    let position = cluster.committed_offsets(&group, &topics).await.unwrap();
    let ends = cluster.end_offsets(&name).await.unwrap();
    assert_eq!(position[&(name, 0)], ends[&0] - 1);
}

#[tokio::test]
async fn a_refused_dead_letter_is_replayed_once_its_topic_accepts_it() {
    let cluster = cluster("later").await;
    publish_three(&cluster, noise(NEARLY_TOO_LARGE)).await;
    assert_eq!(refused(&replay(&cluster).await), of_three(true));
    set_limit(&cluster, "2097152").await;
    assert_eq!(
        refused(&replay(&cluster).await),
        [("large".to_owned(), false)]
    );
    assert_eq!(replayed_keys(&cluster).await, ["first", "large", "last"]);
    assert_eq!(replay(&cluster).await.len(), 0);
}

#[tokio::test]
async fn a_record_that_fits_compressed_is_replayed() {
    let cluster = cluster("compressed").await;
    publish_three(&cluster, vec![b'x'; 1_500_000]).await;
    let dry_run = dead_letters(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!(refused(&dry_run), of_three(false));
    assert_eq!(refused(&replay(&cluster).await), of_three(false));
    assert_eq!(replayed_keys(&cluster).await, ["first", "large", "last"]);
}

/// The broker refuses the record, although it fitted when the replay began.
#[tokio::test]
async fn a_record_that_the_broker_refuses_does_not_stop_the_others() {
    let cluster = cluster("broker-refuses").await;
    publish_three(&cluster, noise(100_000)).await;
    let begun = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    assert_eq!(refused(begun.dead_letters()), of_three(false));
    set_limit(&cluster, "50000").await;
    let mut done = Vec::new();
    begun
        .run(|batch| done.extend_from_slice(batch))
        .await
        .unwrap();
    assert_eq!(refused(&done), of_three(true));
    assert_eq!(replayed_keys(&cluster).await, ["first", "last"]);
}

#[tokio::test]
async fn a_topic_that_does_not_exist_refuses_its_dead_letters_until_it_does() {
    let cluster = cluster("no-topic").await;
    publish_three(&cluster, b"small".to_vec()).await;
    cluster.delete_topics(&[Topic::Payments]).await.unwrap();
    let all = replay(&cluster).await;
    assert_eq!(all.len(), 3);
    let missing = |one: &DeadLetter| one.refusal().is_some_and(|one| one.contains("not exist"));
    assert!(all.iter().all(missing), "{all:?}");
    cluster
        .create_topics(&[Topic::Payments], None)
        .await
        .unwrap();
    assert_eq!(refused(&replay(&cluster).await), of_three(false));
    assert_eq!(replayed_keys(&cluster).await, ["first", "large", "last"]);
    assert_eq!(replay(&cluster).await.len(), 0);
}

#[tokio::test]
async fn a_discard_fences_a_replay_that_runs() {
    let cluster = cluster("discard-fences").await;
    publish_three(&cluster, b"small".to_vec()).await;
    let begun = Replay::begin(&cluster, Topic::InventoryDlq).await.unwrap();
    discard(&cluster, Topic::InventoryDlq, 0, 1, None)
        .await
        .unwrap();
    assert!(begun.run(|_| {}).await.is_err());
    let all = replay(&cluster).await;
    let keys: Vec<String> = refused(&all).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["first", "last"]);
    assert_eq!(replayed_keys(&cluster).await, ["first", "last"]);
}

#[tokio::test]
async fn dead_letters_that_were_deleted_before_their_replay_are_named() {
    let cluster = cluster("deleted").await;
    publish_three(&cluster, b"small".to_vec()).await;
    let dlq = cluster.prefix().topic(Topic::InventoryDlq);
    let deleted = async || {
        let missing = deleted_before_replay(&cluster, Topic::InventoryDlq).await;
        let missing = missing.unwrap().into_iter();
        missing
            .map(|one| (one.partition, one.from, one.log_start))
            .collect::<Vec<_>>()
    };
    assert_eq!(deleted().await, []);
    delete_before(&cluster, &dlq, 2).await;
    assert_eq!(deleted().await, [(0, Some(0), 2)]);
    assert_eq!(replay(&cluster).await.len(), 1);
    // What was deleted after its replay is no loss.
    delete_before(&cluster, &dlq, 3).await;
    assert_eq!(deleted().await, []);
}
