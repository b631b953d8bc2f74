//! Members that come and go, with each assignor and each protocol: whoever assigns the partitions, and however many are revoked,
//! nothing is lost and nothing is done twice.

use std::sync::atomic::Ordering;

use kafka_runtime::{ConsumerTuning, MemberSettings};

use crate::harness::{Harness, start};
use crate::test_service::{TestService, orders};

const EAGER: [(&str, &str); 1] = [("KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY", "range")];
const CONSUMER_PROTOCOL: [(&str, &str); 1] = [("KAFKA_CONSUMER_GROUP_PROTOCOL", "consumer")];

fn settings(harness: &Harness, variables: &[(&str, &str)]) -> MemberSettings {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    MemberSettings {
        tuning: ConsumerTuning::from_variables(variables).unwrap(),
        ..harness.settings()
    }
}

/// Four members join and two stop while orders arrive. Each member has a slot of its own.
async fn each_order_is_answered_once(test: &str, settings: impl Fn(&Harness) -> MemberSettings) {
    let harness = Harness::new(test, 3).await;
    let service = TestService::default();
    service.read_pause_us.store(100, Ordering::Relaxed);
    let mut slots = 1..;
    let mut join = || {
        let mut settings = settings(&harness);
        settings.kafka.slot = slots.next();
        start(settings, service.clone())
    };
    let mut members = vec![join()];
    let mut published = 0;
    for round in 0..6 {
        harness.publish_orders(&orders(2_000)).await;
        published += 2_000;
        if round % 3 < 2 {
            members.push(join());
            members.last().unwrap().ready().await;
        } else {
            members.remove(0).stop().await;
        }
    }
    harness.all_committed().await;
    for member in members {
        member.stop().await;
    }
    let answers = harness.answers().await;
    assert_eq!(
        (answers.len(), answers.values().max()),
        (published, Some(&1))
    );
    assert!(harness.uncommitted().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_is_answered_once_while_members_come_and_go() {
    each_order_is_answered_once("come_and_go", Harness::settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_is_answered_once_if_all_partitions_are_revoked() {
    each_order_is_answered_once("eager", |harness| settings(harness, &EAGER)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_is_answered_once_by_static_members() {
    each_order_is_answered_once("static", |harness| {
        let mut settings = harness.settings();
        settings.consumer.static_membership = true;
        settings
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_is_answered_once_if_the_broker_assigns() {
    let settings = |harness: &Harness| settings(harness, &CONSUMER_PROTOCOL);
    each_order_is_answered_once("kip848", settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_partitions_is_idle_and_ready() {
    for (test, variables) in [("idle", &[][..]), ("idle_kip848", &CONSUMER_PROTOCOL)] {
        let harness = Harness::new(test, 1).await;
        let settings = settings(&harness, variables);
        // payment-service reads three topics of one partition each, so four members are one too many.
        let members: Vec<_> = (0..4)
            .map(|_| start(settings.clone(), TestService::default()))
            .collect();
        for member in &members {
            member.ready().await;
        }
        for (stopped, member) in (1..).zip(members) {
            member.stop().await;
            let group = harness.group().await;
            assert_eq!(group.members.len(), 4 - stopped, "{test}: {group:?}");
        }
    }
}
