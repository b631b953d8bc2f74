//! The poison limit, and `POISON_POLICY=block`.

use kafka_admin::publish::RawRecord;
use kafka_runtime::Protection;
use kafka_runtime::settings::PoisonPolicy;
use shared_events::Topic;
use test_stack::eventually;

use crate::harness::{DEADLINE, Harness, start};
use crate::test_service::{PANICS_WHEN_APPLIED, REFUSED_BY_RULE, TestService, order};

fn record(product: &str) -> RawRecord {
    let mut record = RawRecord::event(&order(product)).unwrap();
    record.partition = Some(0);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_poison_halts_the_member_after_each_resume_again() {
    let harness = Harness::new("limit", 1).await;
    let mut records: Vec<_> = (0..25).map(|_| record(REFUSED_BY_RULE)).collect();
    records.push(record("prod"));
    harness.publish(&records).await;
    let mut settings = harness.settings();
    settings.consumer.poison_limit = 10;
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let member = start(settings, TestService::default());
    for (dead_letters, last) in [(10, 9), (20, 19)] {
        member
            .reports(&format!(
                "poison_limit: 10 poison records in a row, the last at {topic}/0 offset {last}"
            ))
            .await;
        assert!(!member.readiness.is_ready());
        // Readers see a transaction a moment after its commit is answered, when its markers are written.
        eventually(DEADLINE, "as many dead letters", async || {
            match harness.records(Topic::PaymentsDlq).await.len() {
                found if found == dead_letters => Ok(()),
                found => Err(found),
            }
        })
        .await;
        member.controls.resume();
    }
    harness.all_committed().await;
    member.ready().await;
    member.stop().await;
    assert_eq!(harness.records(Topic::PaymentsDlq).await.len(), 25);
    assert_eq!(harness.answers().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_also_holds_for_poison_that_only_the_write_shows() {
    let harness = Harness::new("limit_effect", 1).await;
    let records: Vec<_> = (0..8).map(|_| record(PANICS_WHEN_APPLIED)).collect();
    harness.publish(&records).await;
    let mut settings = harness.settings();
    settings.consumer.poison_limit = 5;
    settings.consumer.batch_max = Some(1);
    let member = start(settings, TestService::default());
    member.reports("poison_limit: 5").await;
    member.stop().await;
    assert_eq!(harness.records(Topic::PaymentsDlq).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_poison_limit_poison_drains_into_the_dead_letter_topic() {
    let harness = Harness::new("no_limit", 1).await;
    let records: Vec<_> = (0..25).map(|_| record(REFUSED_BY_RULE)).collect();
    harness.publish(&records).await;
    let mut settings = harness.without(Protection::PoisonLimit);
    settings.consumer.poison_limit = 10;
    let member = start(settings, TestService::default());
    harness.all_committed().await;
    member.stop().await;
    assert_eq!(harness.records(Topic::PaymentsDlq).await.len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_policy_block_one_partition_is_blocked_and_no_other() {
    let harness = Harness::new("block", 2).await;
    let at = |partition, record: RawRecord| RawRecord {
        partition: Some(partition),
        ..record
    };
    harness
        .publish(&[
            at(0, record("prod")),
            at(0, record(REFUSED_BY_RULE)),
            at(0, record("prod")),
        ])
        .await;
    harness
        .publish(&(0..50).map(|_| at(1, record("prod"))).collect::<Vec<_>>())
        .await;
    let mut settings = harness.settings();
    settings.consumer.poison_policy = PoisonPolicy::Block;
    let member = start(settings, TestService::default());
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let blocked = format!("partition {topic}/0 blocked at offset 1 by POISON_POLICY=block");
    member.reports(&blocked).await;
    eventually(
        DEADLINE,
        "all but the blocked partition is answered",
        async || {
            let uncommitted = harness.uncommitted().await;
            if uncommitted.count() <= 3 && harness.answers().await.len() == 51 {
                Ok(())
            } else {
                Err(uncommitted.to_string())
            }
        },
    )
    .await;
    // The report stays, also while batches without the record are committed.
    let more = async {
        for more in 1..=10 {
            harness.publish(&[at(1, record("prod"))]).await;
            eventually(DEADLINE, "one more is answered", async || {
                match harness.answers().await.len() {
                    all if all == 51 + more => Ok(()),
                    all => Err(all),
                }
            })
            .await;
        }
    };
    tokio::select! {
        report = member.stops_reporting(&blocked) => panic!("{report}"),
        () = more => {}
    }
    member.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (61, Some(&1)));
    assert!(harness.records(Topic::PaymentsDlq).await.is_empty());
    assert!(!harness.uncommitted().await.is_empty());
}
