//! Which open transactions hang, and when their alert is raised and ends.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use cluster_reader::TopicPartition;
use cluster_reader::transactions::{OpenTransaction, TransactionStatus};

use super::*;
use crate::lag_state::tests::{new_state, second, snapshot};

fn open(topic: &str, status: TransactionStatus) -> OpenTransaction {
    OpenTransaction {
        partition: TopicPartition {
            topic: topic.to_owned(),
            partition: 0,
        },
        producer_id: 7,
        producer_epoch: 3,
        coordinator_epoch: 0,
        start_offset: 5,
        last_write: second(1),
        transactional_id: Some("payment-service-1".to_owned()),
        status,
    }
}

fn hanging(topic: &str) -> OpenTransaction {
    open(topic, TransactionStatus::Hanging)
}

fn ongoing_since(started: i64) -> OpenTransaction {
    let (started, timeout) = (second(started), Duration::from_secs(10));
    open("payments", TransactionStatus::Ongoing { started, timeout })
}

/// How many transactions hang after searches at these seconds.
fn hanging_after(searches: Vec<(i64, Vec<OpenTransaction>)>) -> usize {
    let state = new_state();
    let last = searches.last().unwrap().0;
    for (at, open) in searches {
        state.record_transactions(second(at), open);
    }
    state.transactions(second(last)).unwrap().hanging.len()
}

#[test]
fn a_transaction_hangs_that_two_searches_in_a_row_found() {
    let found = || vec![hanging("payments")];
    let later = OpenTransaction {
        start_offset: 6,
        ..hanging("payments")
    };
    assert_eq!(hanging_after(vec![(0, found())]), 0);
    assert_eq!(hanging_after(vec![(0, found()), (30, found())]), 1);
    assert_eq!(hanging_after(vec![(0, found()), (30, vec![later])]), 0);
    let between = vec![(0, found()), (30, Vec::new()), (60, found())];
    assert_eq!(hanging_after(between), 0);
    let completing = open("payments", TransactionStatus::Completing);
    let completing = || vec![completing.clone()];
    assert_eq!(
        hanging_after(vec![(0, completing()), (30, completing())]),
        0
    );
}

#[test]
fn a_transaction_hangs_15_seconds_after_its_timeout() {
    for (at, expected) in [(5, 0), (125, 0), (126, 1)] {
        assert_eq!(
            hanging_after(vec![(at, vec![ongoing_since(100)])]),
            expected
        );
    }
}

#[test]
fn the_alert_of_a_transaction_over_its_timeout_recommends_no_marker() {
    let state = new_state();
    state.record_transactions(second(200), vec![ongoing_since(100)]);
    let message = &state.alerts(None, 1)[0].message;
    assert!(message.contains("its time-out has passed"), "{message}");
    assert!(!message.contains("resolve"), "{message}");
}

#[test]
fn one_alert_says_which_partitions_and_groups_and_ends_with_the_transaction() {
    let state = new_state();
    state.record_snapshot(snapshot(5, &[("g", 0), ("h", 0)]));
    let both = || vec![hanging("__consumer_offsets"), hanging("payments")];
    for at in [10, 40, 70] {
        state.record_transactions(second(at), both());
    }
    // An outage is another subject: it ends no alert about a transaction.
    state.record_failure("timeout");
    state.record_transactions_failure(second(71));
    let alerts = state.alerts(None, 10);
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    let alert = &alerts[1];
    assert_eq!((alert.level, alert.timestamp), ("critical", second(40)));
    assert_eq!(alert.ended_at, None);
    for part in [
        "hanging_transaction",
        "payment-service-1",
        "00:00:01 UTC",
        "payments[0]",
        "__consumer_offsets[0] (committed offsets of one or more groups)",
        "g, h",
        "./sandbox transactions resolve",
    ] {
        assert!(alert.message.contains(part), "{part}: {}", alert.message);
    }
    assert_eq!(state.failed_transaction_searches(), 1);

    state.record_transactions(second(100), vec![hanging("payments")]);
    state.record_transactions(second(130), Vec::new());
    let alerts = state.alerts(None, 10);
    let of_transaction = alerts
        .iter()
        .filter(|one| one.message.starts_with("hanging"));
    let levels: Vec<_> = of_transaction
        .map(|one| (one.level, one.ended_at))
        .collect();
    let (resolved, fewer) = (Some(second(130)), Some(second(100)));
    let expected = [
        ("ok", resolved),
        ("critical", resolved),
        ("critical", fewer),
    ];
    assert_eq!(levels, expected);
}

#[test]
fn a_group_behind_a_hanging_transaction_is_critical_until_it_ends() {
    let state = new_state();
    let status = |at: i64| {
        state.record_snapshot(snapshot(at, &[("g", 0)]));
        let health = state.read_current(second(at), |current| {
            let health = current.group_health("g", Some("payments")).unwrap();
            (
                health.rule().name(),
                health.status().name(),
                current.offsets_hang(),
            )
        });
        health.unwrap()
    };
    let found = || vec![hanging("payments")];
    state.record_transactions(second(0), found());
    assert_eq!(status(5), ("keeps_up", "ok", false));
    state.record_transactions(second(30), found());
    assert_eq!(status(35), ("hanging_transaction", "critical", false));
    state.record_transactions(second(60), Vec::new());
    assert_eq!(status(65), ("keeps_up", "ok", false));
    for at in [90, 120] {
        state.record_transactions(second(at), vec![hanging("__consumer_offsets")]);
    }
    assert_eq!(status(125), ("keeps_up", "ok", true));
}

#[test]
fn a_search_is_current_for_90_seconds() {
    let state = new_state();
    let none = Err(StaleData { last_success: None });
    assert_eq!(state.transactions(second(0)), none);
    state.record_transactions(second(10), vec![ongoing_since(9), ongoing_since(9)]);
    assert_eq!(state.transactions(second(100)).unwrap().open, 1);
    let stale = StaleData {
        last_success: Some(second(10)),
    };
    assert_eq!(state.transactions(second(101)), Err(stale));
}

#[test]
fn while_searches_fail_a_hanging_transaction_is_soon_unknown_and_not_hanging() {
    let state = new_state();
    state.record_snapshot(snapshot(0, &[("g", 1)]));
    let found = || vec![hanging("payments")];
    state.record_transactions(second(0), found());
    state.record_transactions(second(30), found());
    let latest = |state: &LagState| {
        let newest = state.alerts(None, 1);
        (newest[0].level, newest[0].message.clone())
    };
    state.record_transactions_failure(second(120));
    assert_eq!(latest(&state).0, "critical");
    for at in [150, 180] {
        state.record_transactions_failure(second(at));
    }
    let (level, message) = latest(&state);
    assert_eq!(level, "unknown");
    let since = "not known: open transactions cannot be listed since 1970-01-01 00:00:30 UTC";
    assert!(message.ends_with(since), "{message}");
    assert_eq!(
        state.read(|inner| inner.snapshots.hanging_transactions().len()),
        0
    );
    assert_eq!(
        state
            .alerts(None, 10)
            .iter()
            .filter(|one| one.level == "unknown")
            .count(),
        1
    );

    state.record_transactions(second(210), Vec::new());
    let (level, message) = latest(&state);
    assert_eq!(level, "ok");
    assert!(message.ends_with("hangs no more"), "{message}");
    let alerts = state.alerts(None, 10);
    let mut of_it = alerts.iter().filter(|one| one.group_id.is_none());
    assert!(of_it.all(|one| one.ended_at.is_some()), "{alerts:?}");
}
