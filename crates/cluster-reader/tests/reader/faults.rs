//! A poll is complete or an error.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use cluster_reader::{ReadError, Snapshot};
use test_stack::OwnStack;
use tokio::time::Instant;

use crate::rig::{PATIENCE, Rig, reader};

/// A broker of one's own with a group that has read something.
async fn own() -> (OwnStack, Rig, Snapshot) {
    let stack = test_stack::exclusive().await;
    let mut rig = Rig::on(&stack.bootstrap(), "own-");
    rig.topic("t", 30).await;
    rig.producer(&[]).send("t", 0, 5);
    for group in 0..20 {
        rig.commit(&format!("g{group}"), "t", 0, 2);
    }
    let before = rig.snapshot().await;
    assert_eq!(
        (before.groups.len(), before.topics["own-t"].len()),
        (20, 30)
    );
    (stack, rig, before)
}

fn same(now: &Snapshot, before: &Snapshot) {
    assert_eq!(now.groups, before.groups);
    assert_eq!(now.topics, before.topics);
}

/// Polls without a pause while the broker comes back, and expects of each poll all or nothing.
async fn all_or_nothing_until_back(stack: &OwnStack, rig: &mut Rig, before: &Snapshot) {
    let mut errors = 0;
    let mut polls = async || {
        // A JVM has to start meanwhile, and the polls leave it one core of two.
        let deadline = Instant::now() + 3 * PATIENCE;
        let mut whole = 0;
        while whole < 50 {
            assert!(Instant::now() < deadline, "the broker does not come back");
            match rig.reader.poll().await {
                Ok(now) => {
                    same(&now, before);
                    whole += 1;
                }
                Err(error) => {
                    assert!(ReadError::KINDS.contains(&error.kind()));
                    errors += 1;
                    whole = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    tokio::join!(stack.start_kafka(), polls());
    assert!(errors > 0, "the broker was away");
}

#[tokio::test]
async fn right_after_a_restart_no_group_is_missing() {
    let (stack, mut rig, before) = own().await;
    stack.stop_kafka().await;
    let error = rig.reader.poll().await.unwrap_err();
    assert_eq!(error.kind(), "unreachable", "{error}");
    all_or_nothing_until_back(&stack, &mut rig, &before).await;
    // Who comes anew and knows the name has the same right.
    stack.stop_kafka().await;
    let mut anew = Rig::on(&rig.bootstrap, "own-");
    for group in before.groups.keys() {
        anew.reader.remember(group);
    }
    all_or_nothing_until_back(&stack, &mut anew, &before).await;
}

#[tokio::test]
async fn right_after_a_kill_no_partition_is_missing() {
    let (stack, mut rig, before) = own().await;
    stack.kill_kafka().await;
    all_or_nothing_until_back(&stack, &mut rig, &before).await;
}

#[tokio::test]
async fn a_late_answer_is_not_taken_for_the_next_one() {
    let (stack, rig, before) = own().await;
    let mut reader = reader(&rig.bootstrap, Duration::from_millis(500));
    test_stack::eventually(PATIENCE, "a poll", async || reader.poll().await).await;
    for _ in 0..3 {
        stack.pause_kafka();
        let error = reader.poll().await.unwrap_err();
        assert!(
            ["timeout", "unreachable"].contains(&error.kind()),
            "{error}"
        );
        stack.continue_kafka();
        let now = test_stack::eventually(PATIENCE, "a poll", async || reader.poll().await).await;
        same(&now, &before);
    }
}

#[tokio::test]
async fn a_poll_that_is_given_up_leaves_no_answer_behind_for_the_next() {
    let mut rig = Rig::shared("given-up").await;
    rig.topic("t", 3).await;
    rig.commit("g", "t", 0, 0);
    rig.snapshot().await;
    for micros in (0..3_000).step_by(100) {
        let limit = Duration::from_micros(micros);
        let _ = tokio::time::timeout(limit, rig.reader.poll()).await;
        rig.group("g").await;
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable_and_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for wrong in [address.as_str(), "no-such-host.invalid:9092", "no port", ""] {
        let error = reader(wrong, PATIENCE).poll().await.unwrap_err();
        assert_eq!(error.kind(), "unreachable", "{wrong}: {error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
    let mut rig = Rig::shared("second-address").await;
    let both = format!("{address}, {}", rig.bootstrap);
    rig.reader = reader(&both, PATIENCE);
    rig.snapshot().await;
}

#[tokio::test]
async fn whoever_is_no_kafka_broker_is_said_to_be_none() {
    // Another protocol; a wrong correlation id; a cut answer; one with a byte too many; a right one of a broker that can do nothing.
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
