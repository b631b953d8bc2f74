//! The scan of the records between a committed offset and the end of the log.

use chrono::DateTime;
use cluster_reader::Lag;
use test_stack::eventually;

use crate::test_cluster::{PATIENCE, Sender, TestCluster, first_timestamp};

/// The time between two records of a batch, in milliseconds.
const STEP: i64 = 1_001;

#[tokio::test]
async fn the_oldest_unread_record_can_be_within_any_batch() {
    let mut cluster = TestCluster::shared("oldest").await;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    cluster.topic("t", codecs.len() as i32).await;
    for (partition, codec) in (0..).zip(codecs) {
        let sender = cluster.producer(&[("compression.codec", codec)]);
        for number in 0..20 {
            let value = format!("value {}", "x".repeat(200));
            sender.record(
                "t",
                partition,
                first_timestamp() + number * STEP,
                value.as_bytes(),
            );
        }
        sender.flush();
    }
    for committed in [0, 7, 19, 20] {
        for (partition, codec) in (0..).zip(codecs) {
            cluster.commit("g", "t", partition, committed);
            let lag = cluster.lag("g", "t", partition).await.unwrap();
            let expected = DateTime::from_timestamp_millis(first_timestamp() + committed * STEP);
            let expected = expected.filter(|_| committed < 20);
            assert_eq!(lag.oldest_unread, expected, "{codec} at {committed}");
        }
    }
}

#[tokio::test]
async fn markers_and_aborted_records_are_never_the_oldest_unread() {
    let mut cluster = TestCluster::shared("first-readable").await;
    cluster.topic("t", 1).await;
    let transactions = cluster.transactional("t");
    transactions.aborted("t", 0, 3);
    transactions.begin();
    transactions.record("t", 0, first_timestamp(), b"value");
    transactions.commit();
    cluster.marked("t").await;
    cluster.commit("g", "t", 0, 1);
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!(
        lag.oldest_unread,
        DateTime::from_timestamp_millis(first_timestamp())
    );
    assert_eq!(
        (lag.readable, lag.aborted_records, lag.control_records),
        (1, 2, 2)
    );
}

#[tokio::test]
async fn log_append_time_is_the_timestamp_of_the_oldest_record() {
    let mut cluster = TestCluster::shared("append-time").await;
    let append_time = [("message.timestamp.type", "LogAppendTime")];
    cluster.topic_with("t", 1, &append_time).await;
    let before = chrono::Utc::now();
    cluster.producer(&[]).send("t", 0, 5);
    cluster.commit("g", "t", 0, 3);
    let oldest = cluster
        .lag("g", "t", 0)
        .await
        .unwrap()
        .oldest_unread
        .unwrap();
    assert!(oldest >= before - chrono::TimeDelta::seconds(1), "{oldest}");
}

#[tokio::test]
async fn a_batch_larger_than_the_fetch_limit_is_scanned() {
    let mut cluster = TestCluster::shared("large").await;
    cluster.topic("t", 5).await;
    let transactions = cluster.transactional("t");
    let value = vec![b'x'; 300_000];
    for partition in 0..5 {
        transactions.begin();
        transactions.record("t", partition, first_timestamp(), &value);
        transactions.flush();
        transactions.abort();
        cluster.commit("g", "t", partition, 0);
    }
    cluster.marked("t").await;
    let found = cluster.group("g").await;
    for (at, row) in found.partitions {
        let lag = row.lag.unwrap();
        let counts = (lag.aborted_records, lag.control_records, lag.readable);
        // The marker may not have arrived with the large batch.
        assert!(
            counts == (1, 1, 0) || (lag.is_upper_bound && counts == (1, 0, 1)),
            "{at}: {lag:?}"
        );
    }
}

/// Aborts this number of transactions of one record each. One poll scans about two of them.
async fn abort_transactions(cluster: &TestCluster, transactions: &Sender, count: usize) {
    for _ in 0..count {
        transactions.begin();
        transactions.record("t", 0, first_timestamp(), &[b'x'; 30_000]);
        transactions.flush();
        transactions.abort();
    }
    cluster.marked("t").await;
}

/// The lag after the scan has reached the last stable offset.
async fn completely_scanned(cluster: &mut TestCluster) -> Lag {
    eventually(
        PATIENCE,
        "the last stable offset is reached",
        async || match cluster.lag("g", "t", 0).await.unwrap() {
            lag if lag.is_upper_bound => Err(format!("{lag:?}")),
            lag => Ok(lag),
        },
    )
    .await
}

#[tokio::test]
async fn an_unfinished_scan_is_marked_and_resumed() {
    let mut cluster = TestCluster::shared("upper-bound").await;
    cluster.topic("t", 1).await;
    let transactions = cluster.transactional("t");
    abort_transactions(&cluster, &transactions, 30).await;
    cluster.commit("g", "t", 0, 0);
    let first = cluster.lag("g", "t", 0).await.unwrap();
    assert!(
        first.is_upper_bound && first.aborted_records < 30,
        "{first:?}"
    );
    let sum = |lag: Lag| lag.readable + lag.control_records + lag.aborted_records;
    assert_eq!(sum(first), 60);
    abort_transactions(&cluster, &transactions, 1).await;
    let second = cluster.lag("g", "t", 0).await.unwrap();
    assert!(second.aborted_records > first.aborted_records, "{second:?}");
    assert_eq!(sum(second), 62);
    transactions.committed("t", 0, 1);
    cluster.marked("t").await;
    let last = completely_scanned(&mut cluster).await;
    let found = (last.readable, last.aborted_records, last.control_records);
    assert_eq!(found, (1, 31, 32));
}

#[tokio::test]
async fn a_group_before_many_aborted_records_gets_lag_0() {
    let mut cluster = TestCluster::shared("caught-up").await;
    cluster.topic("t", 1).await;
    abort_transactions(&cluster, &cluster.transactional("t"), 30).await;
    cluster.commit("g", "t", 0, 0);
    let first = cluster.group("g").await;
    assert!(!first.lag_at_most(0), "{first}");
    let last = completely_scanned(&mut cluster).await;
    let found = (last.readable, last.aborted_records, last.control_records);
    assert_eq!(found, (0, 30, 30));
    assert!(cluster.group("g").await.is_caught_up());
}

#[tokio::test]
async fn records_deleted_before_they_were_read_are_lost() {
    let mut cluster = TestCluster::shared("lost").await;
    cluster.topic("t", 1).await;
    cluster.producer(&[]).send("t", 0, 40);
    cluster.commit("g", "t", 0, 10);
    assert_eq!(cluster.lag("g", "t", 0).await.unwrap().lost, 0);
    cluster.delete_records("t", 0, 30).await;
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!((lag.lost, lag.readable), (20, 10));
    cluster.delete_records("t", 0, 40).await;
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!((lag.lost, lag.readable, lag.oldest_unread), (30, 0, None));
}

#[tokio::test]
async fn groups_at_different_offsets_are_scanned_independently() {
    let mut cluster = TestCluster::shared("two-groups").await;
    cluster.topic("t", 1).await;
    cluster.transactional("t").aborted("t", 0, 6);
    cluster.marked("t").await;
    cluster.commit("a", "t", 0, 1);
    cluster.commit("b", "t", 0, 4);
    for (group, aborted) in [("a", 5), ("b", 2), ("a", 5)] {
        let lag = cluster.lag(group, "t", 0).await.unwrap();
        assert_eq!(
            (lag.aborted_records, lag.control_records, lag.readable),
            (aborted, 1, 0)
        );
    }
}

#[tokio::test]
async fn a_recreated_topic_is_scanned_again() {
    let mut cluster = TestCluster::shared("recreated").await;
    cluster.topic("t", 1).await;
    cluster.transactional("t").aborted("t", 0, 3);
    cluster.commit("g", "t", 0, 0);
    assert_eq!(cluster.lag("g", "t", 0).await.unwrap().readable, 0);
    cluster.delete_topic("t").await;
    cluster.topic("t", 1).await;
    cluster.producer(&[]).send("t", 0, 4);
    cluster.commit("g", "t", 0, 0);
    assert_eq!(cluster.lag("g", "t", 0).await.unwrap().readable, 4);
}
