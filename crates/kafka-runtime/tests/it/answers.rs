//! What a member promises: each record is answered once, whatever goes wrong besides.

use std::sync::atomic::Ordering;

use kafka_runtime::Protection;
use kafka_admin::publish::RawRecord;
use shared_events::Topic;
use test_stack::eventually;

use crate::rig::{Rig, Watched, order, orders, start};

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_answered_once_in_both_modes_and_no_lag_is_left() {
    let rig = Rig::new("answers", 3).await;
    for settings in [rig.settings(), rig.at_least_once()] {
        let before = rig.answers().await.len();
        let orders = orders(2_000);
        rig.publish_orders(&orders).await;
        let member = start(settings, Watched::default());
        rig.all_committed().await;
        member.stop().await;
        let answers = rig.answers().await;
        assert_eq!(answers.len(), before + orders.len());
        assert!(answers.values().all(|times| *times == 1));
        assert!(rig.uncommitted().await.is_empty(), "{}", rig.uncommitted().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_twice_in_one_batch_is_answered_twice_with_the_same_bytes() {
    let rig = Rig::new("twice", 1).await;
    let order = order("prod");
    rig.publish_orders(&[order.clone(), order]).await;
    let member = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    member.stop().await;
    let answers = rig.records(Topic::Payments).await;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].value, answers[1].value);
    assert_eq!(answers[0].headers, answers[1].headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_comes_again_until_it_succeeds() {
    let rig = Rig::new("again", 3).await;
    let orders = orders(500);
    rig.publish_orders(&orders).await;
    let service = Watched::default();
    service.fail_next.store(3, Ordering::Relaxed);
    let member = start(rig.settings(), service);
    rig.all_committed().await;
    member.stop().await;
    let answers = rig.answers().await;
    assert_eq!(answers.len(), orders.len());
    assert!(answers.values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_seek_back_a_batch_that_fails_is_skipped_for_ever() {
    let rig = Rig::new("skipped", 1).await;
    rig.publish_orders(&orders(10)).await;
    let service = Watched::default();
    service.fail_next.store(1, Ordering::Relaxed);
    let member = start(rig.without(Protection::SeekBack), service.clone());
    eventually(crate::rig::DEADLINE, "the batch has failed", async || {
        let left = service.fail_next.load(Ordering::Relaxed);
        if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} failures to come"))
        }
    })
    .await;
    // A later order is answered, and so the member has gone on behind the failed ones.
    let later = order("prod");
    rig.publish_orders(std::slice::from_ref(&later)).await;
    rig.all_committed().await;
    member.stop().await;
    let answers = rig.answers().await;
    assert!(answers.contains_key(&later.event.order_id()));
    assert!(
        answers.len() < 11,
        "all {} were answered: nothing was skipped",
        answers.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_an_unknown_type_is_skipped_and_counted() {
    let rig = Rig::new("unknown", 1).await;
    let mut unknown = RawRecord::event(&order("prod")).unwrap();
    for (name, value) in &mut unknown.headers {
        if name == "event-type" {
            *value = Some(b"OrderGiftWrapped".to_vec());
        }
    }
    rig.publish(&[unknown]).await;
    rig.publish_orders(&orders(1)).await;
    let member = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    let skipped = r#"kafka_records_skipped_total{reason="unknown_type"}"#;
    member.counts(skipped, 1).await;
    member.stop().await;
    assert_eq!(rig.answers().await.len(), 1);
    assert!(rig.records(Topic::PaymentsDlq).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_member_takes_nothing_stays_in_its_group_and_goes_on_where_it_stood() {
    let rig = Rig::new("pause", 3).await;
    let member = start(rig.settings(), Watched::default());
    member.ready().await;
    member.controls.pause();
    member.says("paused").await;
    rig.publish_orders(&orders(300)).await;
    assert!(rig.answers().await.is_empty());
    let group = rig.group().await.unwrap();
    assert_eq!(group.members.len(), 1, "{group:?}");
    member.controls.resume();
    rig.all_committed().await;
    member.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (300, Some(&1)));
}
