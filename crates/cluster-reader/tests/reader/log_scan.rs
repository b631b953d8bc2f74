//! The scan of the records between a committed offset and the end of the log.

use chrono::DateTime;
use cluster_reader::LagCount;

use crate::test_cluster::{TestCluster, first_timestamp};

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
        (LagCount::of(1), 2, 2)
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
        assert_eq!(counts, (1, 1, LagCount::ZERO), "{at}");
    }
}

#[tokio::test]
async fn a_backlog_of_100_000_records_is_counted_exactly_while_the_group_reads_on() {
    let mut cluster = TestCluster::shared("backlog").await;
    cluster.topic("t", 1).await;
    let producer = cluster.producer(&[]);
    (0..10).for_each(|_| producer.send("t", 0, 10_000));
    let transactions = cluster.transactional("t");
    transactions.aborted("t", 0, 500);
    transactions.committed("t", 0, 500);
    cluster.marked("t").await;
    cluster.commit("g", "t", 0, 0);
    let first = cluster.lag("g", "t", 0).await.unwrap();
    let counts = (first.readable, first.aborted_records, first.control_records);
    assert_eq!(counts, (LagCount::of(100_500), 500, 2));
    let written = first.written.unwrap().records;
    for committed in [1, 33_333, 99_999, 100_000, 100_250] {
        cluster.commit("g", "t", 0, committed);
        producer.send("t", 0, 10);
        let lag = cluster.lag("g", "t", 0).await.unwrap();
        let written = lag.written.unwrap().records - written;
        let read = committed.min(100_000);
        assert_eq!(lag.readable, LagCount::of(100_500 + written - read));
    }
    cluster.commit("g", "t", 0, 101_002);
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!(lag.readable, LagCount::of(50));
}

#[tokio::test]
async fn a_group_before_many_aborted_records_gets_lag_0() {
    let mut cluster = TestCluster::shared("caught-up").await;
    cluster.topic("t", 1).await;
    let transactions = cluster.transactional("t");
    for _ in 0..30 {
        transactions.begin();
        transactions.record("t", 0, first_timestamp(), &[b'x'; 30_000]);
        transactions.flush();
        transactions.abort();
    }
    cluster.marked("t").await;
    cluster.commit("g", "t", 0, 0);
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    let found = (lag.readable, lag.aborted_records, lag.control_records);
    assert_eq!(found, (LagCount::ZERO, 30, 30));
    assert!(cluster.group("g").await.is_caught_up());
}

#[tokio::test]
async fn records_deleted_before_they_were_read_are_lost() {
    let mut cluster = TestCluster::shared("lost").await;
    cluster.topic("t", 1).await;
    cluster.producer(&[]).send("t", 0, 40);
    cluster.commit("g", "t", 0, 10);
    assert_eq!(cluster.lag("g", "t", 0).await.unwrap().lost, LagCount::ZERO);
    cluster.delete_records("t", 0, 30).await;
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    // The scan has counted the records before they were deleted.
    assert_eq!((lag.lost, lag.deleted_offsets), (LagCount::of(20), 20));
    assert_eq!(lag.readable, LagCount::of(10));
    cluster.delete_records("t", 0, 40).await;
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!((lag.lost, lag.readable), (LagCount::of(30), LagCount::ZERO));
    assert_eq!(lag.oldest_unread, None);
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
            (aborted, 1, LagCount::ZERO)
        );
    }
}

#[tokio::test]
async fn a_recreated_topic_is_scanned_again() {
    let mut cluster = TestCluster::shared("recreated").await;
    cluster.topic("t", 1).await;
    cluster.transactional("t").aborted("t", 0, 3);
    cluster.commit("g", "t", 0, 0);
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!(lag.readable, LagCount::ZERO);
    cluster.delete_topic("t").await;
    cluster.topic("t", 1).await;
    cluster.producer(&[]).send("t", 0, 4);
    cluster.commit("g", "t", 0, 0);
    let lag = cluster.lag("g", "t", 0).await.unwrap();
    assert_eq!(lag.readable, LagCount::of(4));
}
