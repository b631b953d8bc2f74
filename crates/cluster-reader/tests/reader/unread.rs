//! What a poll finds between a committed offset and the end.

use chrono::DateTime;
use cluster_reader::Lag;
use test_stack::eventually;

use crate::rig::{PATIENCE, Rig, Sender, began};

/// A step between records that no batch header tells, milliseconds.
const STEP: i64 = 1_001;

#[tokio::test]
async fn the_oldest_unread_record_is_told_by_its_own_timestamp_in_the_middle_of_any_batch() {
    let mut rig = Rig::shared("oldest").await;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    rig.topic("t", codecs.len() as i32).await;
    for (partition, codec) in (0..).zip(codecs) {
        let sender = rig.producer(&[("compression.codec", codec)]);
        for number in 0..20 {
            let value = format!("value {}", "x".repeat(200));
            sender.record("t", partition, began() + number * STEP, value.as_bytes());
        }
        sender.flush();
    }
    for committed in [0, 7, 19, 20] {
        for (partition, codec) in (0..).zip(codecs) {
            rig.commit("g", "t", partition, committed);
            let lag = rig.lag("g", "t", partition).await.unwrap();
            let expected = DateTime::from_timestamp_millis(began() + committed * STEP);
            let expected = expected.filter(|_| committed < 20);
            assert_eq!(lag.oldest_unread, expected, "{codec} at {committed}");
        }
    }
}

#[tokio::test]
async fn markers_and_aborted_records_are_never_the_oldest_unread() {
    let mut rig = Rig::shared("first-readable").await;
    rig.topic("t", 1).await;
    let transactions = rig.transactional("t");
    transactions.aborted("t", 0, 3);
    transactions.begin();
    transactions.record("t", 0, began(), b"value");
    transactions.commit();
    rig.marked("t").await;
    rig.commit("g", "t", 0, 1);
    let lag = rig.lag("g", "t", 0).await.unwrap();
    assert_eq!(lag.oldest_unread, DateTime::from_timestamp_millis(began()));
    assert_eq!(
        (lag.readable, lag.aborted_records, lag.control_records),
        (1, 2, 2)
    );
}

#[tokio::test]
async fn a_topic_of_log_append_time_tells_when_the_record_came() {
    let mut rig = Rig::shared("append-time").await;
    let append_time = [("message.timestamp.type", "LogAppendTime")];
    rig.topic_with("t", 1, &append_time).await;
    let before = chrono::Utc::now();
    rig.producer(&[]).send("t", 0, 5);
    rig.commit("g", "t", 0, 3);
    let oldest = rig.lag("g", "t", 0).await.unwrap().oldest_unread.unwrap();
    assert!(oldest >= before - chrono::TimeDelta::seconds(1), "{oldest}");
}

#[tokio::test]
async fn batches_larger_than_a_partitions_share_of_an_answer_are_looked_into_all_the_same() {
    let mut rig = Rig::shared("large").await;
    rig.topic("t", 5).await;
    let transactions = rig.transactional("t");
    let value = vec![b'x'; 300_000];
    for partition in 0..5 {
        transactions.begin();
        transactions.record("t", partition, began(), &value);
        transactions.flush();
        transactions.abort();
        rig.commit("g", "t", partition, 0);
    }
    rig.marked("t").await;
    let found = rig.group("g").await;
    for (at, row) in found.partitions {
        let lag = row.lag.unwrap();
        let counts = (lag.aborted_records, lag.control_records, lag.readable);
        // The marker may not have come with the large batch.
        assert!(
            counts == (1, 1, 0) || (lag.at_least && counts == (1, 0, 1)),
            "{at}: {lag:?}"
        );
    }
}

/// So many transactions of one record each, given up. Two fit into a partition's share of a poll.
async fn give_up(rig: &Rig, transactions: &Sender, count: usize) {
    for _ in 0..count {
        transactions.begin();
        transactions.record("t", 0, began(), &[b'x'; 30_000]);
        transactions.flush();
        transactions.abort();
    }
    rig.marked("t").await;
}

/// The lag, when a poll has seen the last of what is unread.
async fn seen_to_the_end(rig: &mut Rig) -> Lag {
    eventually(PATIENCE, "the stable offset is reached", async || match rig
        .lag("g", "t", 0)
        .await
        .unwrap()
    {
        lag if lag.at_least => Err(format!("{lag:?}")),
        lag => Ok(lag),
    })
    .await
}

#[tokio::test]
async fn a_walk_that_does_not_reach_the_stable_offset_says_so_and_goes_on_when_more_comes() {
    let mut rig = Rig::shared("at-least").await;
    rig.topic("t", 1).await;
    let transactions = rig.transactional("t");
    give_up(&rig, &transactions, 30).await;
    rig.commit("g", "t", 0, 0);
    let first = rig.lag("g", "t", 0).await.unwrap();
    assert!(first.at_least && first.aborted_records < 30, "{first:?}");
    let sum = |lag: Lag| lag.readable + lag.control_records + lag.aborted_records;
    assert_eq!(sum(first), 60);
    give_up(&rig, &transactions, 1).await;
    let second = rig.lag("g", "t", 0).await.unwrap();
    assert!(second.aborted_records > first.aborted_records, "{second:?}");
    assert_eq!(sum(second), 62);
    transactions.committed("t", 0, 1);
    rig.marked("t").await;
    let last = seen_to_the_end(&mut rig).await;
    let found = (last.readable, last.aborted_records, last.control_records);
    assert_eq!(found, (1, 31, 32));
}

#[tokio::test]
async fn however_many_aborted_records_lie_behind_a_group_at_rest_after_some_polls_its_lag_is_0() {
    let mut rig = Rig::shared("at-rest").await;
    rig.topic("t", 1).await;
    give_up(&rig, &rig.transactional("t"), 30).await;
    rig.commit("g", "t", 0, 0);
    let first = rig.group("g").await;
    assert!(!first.at_most(0), "{first}");
    // Nothing moves from here on.
    let last = seen_to_the_end(&mut rig).await;
    let found = (last.readable, last.aborted_records, last.control_records);
    assert_eq!(found, (0, 30, 30));
    assert!(rig.group("g").await.is_at_rest());
}

#[tokio::test]
async fn records_deleted_before_they_were_read_are_lost_and_no_lag() {
    let mut rig = Rig::shared("lost").await;
    rig.topic("t", 1).await;
    rig.producer(&[]).send("t", 0, 40);
    rig.commit("g", "t", 0, 10);
    assert_eq!(rig.lag("g", "t", 0).await.unwrap().lost, 0);
    rig.delete_records("t", 0, 30).await;
    let lag = rig.lag("g", "t", 0).await.unwrap();
    assert_eq!((lag.lost, lag.readable), (20, 10));
    rig.delete_records("t", 0, 40).await;
    let lag = rig.lag("g", "t", 0).await.unwrap();
    assert_eq!((lag.lost, lag.readable, lag.oldest_unread), (30, 0, None));
}

#[tokio::test]
async fn groups_at_different_offsets_of_one_partition_do_not_disturb_each_other() {
    let mut rig = Rig::shared("two-groups").await;
    rig.topic("t", 1).await;
    rig.transactional("t").aborted("t", 0, 6);
    rig.marked("t").await;
    rig.commit("a", "t", 0, 1);
    rig.commit("b", "t", 0, 4);
    for (group, aborted) in [("a", 5), ("b", 2), ("a", 5)] {
        let lag = rig.lag(group, "t", 0).await.unwrap();
        assert_eq!(
            (lag.aborted_records, lag.control_records, lag.readable),
            (aborted, 1, 0)
        );
    }
}

#[tokio::test]
async fn a_topic_made_anew_is_not_taken_for_the_old_one() {
    let mut rig = Rig::shared("anew").await;
    rig.topic("t", 1).await;
    rig.transactional("t").aborted("t", 0, 3);
    rig.commit("g", "t", 0, 0);
    assert_eq!(rig.lag("g", "t", 0).await.unwrap().readable, 0);
    rig.delete_topic("t").await;
    rig.topic("t", 1).await;
    rig.producer(&[]).send("t", 0, 4);
    rig.commit("g", "t", 0, 0);
    assert_eq!(rig.lag("g", "t", 0).await.unwrap().readable, 4);
}
