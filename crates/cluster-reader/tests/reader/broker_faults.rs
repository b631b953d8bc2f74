//! While a broker restarts, hangs or is no broker, a poll is complete or an error.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use cluster_reader::{ReadError, Snapshot};
use test_stack::DedicatedStack;
use tokio::time::Instant;

use crate::test_cluster::{PATIENCE, TestCluster, reader};

/// A dedicated broker with 20 groups.
async fn dedicated() -> (DedicatedStack, TestCluster, Snapshot) {
    let stack = test_stack::dedicated().await;
    let mut cluster = TestCluster::on(&stack.bootstrap(), "own-");
    cluster.topic("t", 30).await;
    cluster.producer(&[]).send("t", 0, 5);
    for group in 0..20 {
        cluster.commit(&format!("g{group}"), "t", 0, 2);
    }
    let before = cluster.snapshot().await;
    assert_eq!(
        (before.groups.len(), before.topics["own-t"].len()),
        (20, 30)
    );
    (stack, cluster, before)
}

fn same(now: &Snapshot, before: &Snapshot) {
    assert_eq!(now.groups, before.groups);
    assert_eq!(now.topics, before.topics);
}

/// Polls without a pause while the broker starts. Each poll must be complete or an error.
async fn all_or_nothing_until_started(
    stack: &DedicatedStack,
    cluster: &mut TestCluster,
    before: &Snapshot,
) {
    let mut errors = 0;
    let mut polls = async || {
        // The JVM starts meanwhile, and the polls leave it one core of two.
        let deadline = Instant::now() + 3 * PATIENCE;
        let mut complete = 0;
        while complete < 50 {
            assert!(Instant::now() < deadline, "the broker does not start");
            match cluster.reader.poll().await {
                Ok(now) => {
                    same(&now, before);
                    complete += 1;
                }
                Err(error) => {
                    assert!(ReadError::KINDS.contains(&error.kind()));
                    errors += 1;
                    complete = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    tokio::join!(stack.start_kafka(), polls());
    assert!(errors > 0, "the broker was stopped");
}

#[tokio::test]
async fn right_after_a_restart_no_group_is_missing() {
    let (stack, mut cluster, before) = dedicated().await;
    stack.stop_kafka().await;
    let error = cluster.reader.poll().await.unwrap_err();
    assert_eq!(error.kind(), "unreachable", "{error}");
    all_or_nothing_until_started(&stack, &mut cluster, &before).await;
    // A new reader that is given the names finds all groups, too.
    stack.stop_kafka().await;
    let mut new = TestCluster::on(&cluster.bootstrap, "own-");
    for group in before.groups.keys() {
        new.reader.remember(group);
    }
    all_or_nothing_until_started(&stack, &mut new, &before).await;
}

#[tokio::test]
async fn right_after_a_kill_no_partition_is_missing() {
    let (stack, mut cluster, before) = dedicated().await;
    stack.kill_kafka().await;
    all_or_nothing_until_started(&stack, &mut cluster, &before).await;
}

#[tokio::test]
async fn a_late_answer_is_not_read_as_the_next_one() {
    let (stack, cluster, before) = dedicated().await;
    let mut reader = reader(&cluster.bootstrap, Duration::from_millis(500));
    test_stack::eventually(PATIENCE, "a poll", async || reader.poll().await).await;
    for _ in 0..3 {
        stack.pause_kafka();
        let error = reader.poll().await.unwrap_err();
        assert!(
            ["timeout", "unreachable"].contains(&error.kind()),
            "{error}"
        );
        stack.resume_kafka();
        let now = test_stack::eventually(PATIENCE, "a poll", async || reader.poll().await).await;
        same(&now, &before);
    }
}

#[tokio::test]
async fn a_cancelled_poll_leaves_no_answer_for_the_next() {
    let mut cluster = TestCluster::shared("cancelled").await;
    cluster.topic("t", 3).await;
    cluster.commit("g", "t", 0, 0);
    cluster.snapshot().await;
    for micros in (0..3_000).step_by(100) {
        let limit = Duration::from_micros(micros);
        let _ = tokio::time::timeout(limit, cluster.reader.poll()).await;
        cluster.group("g").await;
    }
}

#[tokio::test]
async fn an_address_without_a_broker_is_unreachable_and_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for wrong in [address.as_str(), "no-such-host.invalid:9092", "no port", ""] {
        let error = reader(wrong, PATIENCE).poll().await.unwrap_err();
        assert_eq!(error.kind(), "unreachable", "{wrong}: {error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
    let mut cluster = TestCluster::shared("second-address").await;
    let both = format!("{address}, {}", cluster.bootstrap);
    cluster.reader = reader(&both, PATIENCE);
    cluster.snapshot().await;
}

#[tokio::test]
async fn an_answer_that_no_broker_would_give_is_a_protocol_error() {
    // Another protocol; a wrong correlation id; an answer that is cut off; one with a byte too many;
    // a valid one of a broker that supports no request.
    let answers: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\x0c\0\0\0\x07\0\0\x01\0\0\0\0\0",
        b"\0\0\0\x06\0\0\0\x01\0\0",
        b"\0\0\0\x0d\0\0\0\x01\0\0\x01\0\0\0\0\0\0",
        b"\0\0\0\x0c\0\0\0\x01\0\0\x01\0\0\0\0\0",
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = peer.read(&mut request).unwrap();
            peer.write_all(answer).unwrap();
            let _ = peer.read(&mut request);
        });
        let error = reader(&address, PATIENCE).poll().await.unwrap_err();
        assert_eq!(error.kind(), "protocol", "{answer:?}: {error}");
        server.join().unwrap();
    }
}
