//! The promise of a member: each record is answered once, whatever fails.

use std::sync::atomic::Ordering;

use kafka_admin::publish::RawRecord;
use kafka_runtime::Protection;
use shared_events::Topic;
use test_stack::eventually;

use crate::harness::{Harness, start};
use crate::test_service::{TestService, order, orders};

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_answered_once_in_both_modes_without_lag() {
    let harness = Harness::new("answers", 3).await;
    for settings in [harness.settings(), harness.at_least_once()] {
        let before = harness.answers().await.len();
        let orders = orders(2_000);
        harness.publish_orders(&orders).await;
        let member = start(settings, TestService::default());
        harness.all_committed().await;
        member.stop().await;
        let answers = harness.answers().await;
        assert_eq!(answers.len(), before + orders.len());
        assert!(answers.values().all(|times| *times == 1));
        assert!(
            harness.uncommitted().await.is_empty(),
            "{}",
            harness.uncommitted().await
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_twice_is_answered_twice_with_the_same_bytes() {
    let harness = Harness::new("twice", 1).await;
    let order = order("prod");
    harness.publish_orders(&[order.clone(), order]).await;
    let member = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    member.stop().await;
    let answers = harness.records(Topic::Payments).await;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].value, answers[1].value);
    assert_eq!(answers[0].headers, answers[1].headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_batch_is_retried_until_it_succeeds() {
    let harness = Harness::new("again", 3).await;
    let orders = orders(500);
    harness.publish_orders(&orders).await;
    let service = TestService::default();
    service.fail_next.store(3, Ordering::Relaxed);
    let member = start(harness.settings(), service);
    harness.all_committed().await;
    member.stop().await;
    let answers = harness.answers().await;
    assert_eq!(answers.len(), orders.len());
    assert!(answers.values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_seek_back_a_failed_batch_is_skipped_for_ever() {
    let harness = Harness::new("skipped", 1).await;
    harness.publish_orders(&orders(10)).await;
    let service = TestService::default();
    service.fail_next.store(1, Ordering::Relaxed);
    let member = start(harness.without(Protection::SeekBack), service.clone());
    eventually(
        crate::harness::DEADLINE,
        "the batch has failed",
        async || {
            let left = service.fail_next.load(Ordering::Relaxed);
            if left == 0 {
                Ok(())
            } else {
                Err(format!("{left} failures left"))
            }
        },
    )
    .await;
    // A later order is answered, so the member has skipped the failed ones.
    let later = order("prod");
    harness.publish_orders(std::slice::from_ref(&later)).await;
    harness.all_committed().await;
    member.stop().await;
    let answers = harness.answers().await;
    assert!(answers.contains_key(&later.event.order_id()));
    assert!(
        answers.len() < 11,
        "all {} were answered: nothing was skipped",
        answers.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_an_unknown_type_is_skipped_and_counted() {
    let harness = Harness::new("unknown", 1).await;
    let mut unknown = RawRecord::event(&order("prod")).unwrap();
    for (name, value) in &mut unknown.headers {
        if name == "event-type" {
            *value = Some(b"OrderGiftWrapped".to_vec());
        }
    }
    harness.publish(&[unknown]).await;
    harness.publish_orders(&orders(1)).await;
    let member = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    let skipped = r#"kafka_records_skipped_total{reason="unknown_type"}"#;
    member.metric_reaches(skipped, 1).await;
    member.stop().await;
    assert_eq!(harness.answers().await.len(), 1);
    assert!(harness.records(Topic::PaymentsDlq).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_member_stays_in_its_group_and_resumes_at_its_offset() {
    let harness = Harness::new("pause", 3).await;
    let member = start(harness.settings(), TestService::default());
    member.ready().await;
    member.controls.pause();
    member.reports("paused").await;
    harness.publish_orders(&orders(300)).await;
    assert!(harness.answers().await.is_empty());
    let group = harness.group().await;
    assert_eq!(group.members.len(), 1, "{group:?}");
    member.controls.resume();
    harness.all_committed().await;
    member.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (300, Some(&1)));
}
