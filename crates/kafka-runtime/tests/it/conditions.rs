//! What keeps a member from its work is in its readiness and in `GET /stats`, with its cause.
#![allow(
    clippy::disallowed_methods,
    reason = "a test deletes records with a plain client, and spawns the task that it watches"
)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kafka_runtime::database::{Database, LockWaits, named, parse_url};
use kafka_runtime::{Clock, Failure, MemberError, MemberSettings};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use service_kit::Readiness;
use shared_events::member_api::{ConditionKind, MemberCondition, PartitionOffsets, Source};
use shared_events::{Service, Topic};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};
use test_stack::{eventually, shared};
use tokio_util::sync::CancellationToken;

use crate::controls::{paused, wait_for_config, work};
use crate::harness::{DEADLINE, Harness, Running, start};
use crate::test_service::{TestService, orders};

async fn condition(member: &Running, kind: ConditionKind) -> MemberCondition {
    eventually(DEADLINE, "the condition", async || {
        let found = member.controls.stats().conditions;
        let condition = found.iter().find(|condition| condition.kind == kind);
        condition.cloned().ok_or_else(|| format!("{found:?}"))
    })
    .await
}

async fn no_condition(member: &Running) {
    eventually(DEADLINE, "no condition", async || {
        match member.controls.stats().conditions {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_panics_ends_its_member_and_is_not_ready() {
    let harness = Harness::new("thread_panics", 1).await;
    let settings = MemberSettings {
        clock: Clock::of(|_| panic!("a panic on purpose")),
        ..harness.settings()
    };
    let member = start(settings, TestService::default());
    member.ready().await;
    member.controls.update(work(1));
    harness.publish_orders(&orders(1)).await;
    let ended = condition(&member, ConditionKind::LoopEnded).await;
    assert!(ended.cause.contains("a panic on purpose"), "{ended:?}");
    assert!(!member.readiness.is_ready(), "{}", member.readiness);
    let shutdown = CancellationToken::new();
    let error = member.member.run(shutdown.clone(), DEADLINE).await;
    let error = error.unwrap_err();
    assert!(matches!(error, MemberError::Panicked { .. }), "{error}");
    assert!(shutdown.is_cancelled(), "the service goes on without it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_not_ready_while_a_topic_of_it_is_missing() {
    let harness = Harness::new("missing_topic", 3).await;
    let member = start(harness.settings(), TestService::default());
    member.ready().await;
    no_condition(&member).await;
    let name = harness.kafka.name_prefix.topic(Topic::Orders);
    for partitions in [2, 1] {
        let deleted = harness.cluster.delete_topics(&[Topic::Orders]).await;
        deleted.unwrap();
        let missing = condition(&member, ConditionKind::TopicMissing).await;
        assert!(
            missing
                .cause
                .contains(&format!("topic {name} does not exist")),
            "{missing:?}"
        );
        member.reports(&missing.cause).await;
        assert!(!member.readiness.is_ready());
        let created = harness
            .cluster
            .create_topics(&[Topic::Orders], Some(partitions))
            .await;
        created.unwrap();
        member.ready().await;
        no_condition(&member).await;
    }
    // Deleted and created again between two looks.
    let topics = [Topic::Orders];
    harness.cluster.delete_topics(&topics).await.unwrap();
    let created = harness.cluster.create_topics(&topics, Some(1)).await;
    created.unwrap();
    harness.publish_orders(&orders(20)).await;
    eventually(DEADLINE, "all are answered", async || {
        match harness.answers().await.len() {
            20 => Ok(()),
            some => Err(some),
        }
    })
    .await;
    member.ready().await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_batch_says_where_and_why() {
    let harness = Harness::new("failing_batch", 1).await;
    let service = TestService::default();
    service.fail_next.store(u32::MAX, Ordering::Relaxed);
    let member = start(harness.settings(), service);
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    harness.publish_orders(&orders(3)).await;
    let place = PartitionOffsets {
        topic: topic.clone(),
        partition: 0,
        first: Some(0),
        last: Some(2),
    };
    let cause =
        format!("batch failing at {topic}/0 offsets 0 to 2: a test failed: a failure on purpose");
    let failing = eventually(DEADLINE, "the whole batch fails", async || {
        let found = condition(&member, ConditionKind::BatchFailing).await;
        match found.partitions == [place.clone()] {
            true => Ok(found),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
    assert_eq!(failing.cause, cause);
    member.reports(&cause).await;
    let again = condition(&member, ConditionKind::BatchFailing).await;
    assert_eq!(again.since, failing.since, "it has failed since then");
    member.service.fail_next.store(0, Ordering::Relaxed);
    harness.all_committed().await;
    member.ready().await;
    no_condition(&member).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_says_who_set_it_and_since_when() {
    let harness = Harness::new("pause_source", 1).await;
    let member = start(harness.settings(), TestService::default());
    member.ready().await;
    harness
        .cluster
        .set_controls(Service::Payment, &paused(true))
        .await
        .unwrap();
    let by_group = condition(&member, ConditionKind::Paused).await;
    assert_eq!(by_group.source, Some(Source::Group));
    assert_eq!(
        member.controls.stats().config.since.paused,
        Some(by_group.since)
    );
    member.controls.resume();
    no_condition(&member).await;
    member.controls.pause();
    let by_instance = condition(&member, ConditionKind::Paused).await;
    assert_eq!(by_instance.source, Some(Source::Instance));
    assert!(by_instance.since > by_group.since);
    wait_for_config(&member, "a pause", |config| config.paused).await;
    member.stop().await;
}

/// Deletes the records of partition 0 of `orders` before this offset.
async fn delete_records(harness: &Harness, before: i64) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &harness.kafka.bootstrap_servers)
        .create()
        .unwrap();
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(before))
        .unwrap();
    let deleted = admin.delete_records(&list, &AdminOptions::new()).await;
    for element in deleted.unwrap().elements() {
        element.error().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_before_they_are_consumed_are_counted() {
    let harness = Harness::new("lost", 1).await;
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let series = format!(r#"kafka_consumer_records_lost_total{{topic="{topic}"}}"#);
    let member = start(harness.settings(), TestService::default());
    member.ready().await;
    member.metric_reaches(&series, 0).await;
    harness.publish_orders(&orders(10)).await;
    harness.all_committed().await;
    member.controls.pause();
    member.reports("paused").await;
    harness.publish_orders(&orders(50)).await;
    delete_records(&harness, 40).await;
    member.controls.resume();
    member.metric_reaches(&series, 30).await;
    harness.all_committed().await;
    let lost = member.controls.stats().records_lost;
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!((lost[0].topic.as_str(), lost[0].partition), (&*topic, 0));
    assert_eq!((lost[0].first, lost[0].last, lost[0].offsets), (10, 39, 30));
    member.stop().await;

    // A member that starts below the beginning of the log notices it too, also if nothing is left.
    harness.publish_orders(&orders(10)).await;
    delete_records(&harness, 70).await;
    let next = start(harness.settings(), TestService::default());
    next.metric_reaches(&series, 10).await;
    // Transaction markers are no loss: the tests' producer has no transactions, so these are the group's own.
    harness.publish_orders(&orders(5)).await;
    harness.all_committed().await;
    delete_records(&harness, 75).await;
    harness.publish_orders(&orders(5)).await;
    harness.all_committed().await;
    next.stop().await;
    assert_eq!(harness.answers().await.len(), 10 + 20 + 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_member_is_out_of_its_group_when_its_stop_ends() {
    let harness = Harness::new("leaves", 1).await;
    // payment-service reads two partitions here, so one of three members is idle.
    for round in 0..4 {
        let mut members = Vec::new();
        for _ in 0..3 {
            let member = start(harness.settings(), TestService::default());
            member.ready().await;
            members.push(member);
        }
        for left in (0..3).rev() {
            members.remove(0).stop().await;
            let group = harness.group().await;
            assert_eq!(group.members.len(), left, "round {round}: {group:?}");
        }
    }
}

static NO_MIGRATIONS: Migrator = Migrator::DEFAULT;

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_timeout_names_the_session_that_holds_the_lock() {
    let url = shared().await.database("lock_holder").await;
    let mut holder = PgConnection::connect(&format!("{url}?application_name=psql"))
        .await
        .unwrap();
    sqlx::raw_sql("CREATE TABLE products (id int); INSERT INTO products VALUES (1)")
        .execute(&mut holder)
        .await
        .unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut holder)
        .await
        .unwrap();
    let mut transaction = holder.begin().await.unwrap();
    sqlx::query("SELECT * FROM products FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();

    let options = named(parse_url(&url).unwrap(), Service::Inventory, 2);
    let database = Arc::new(Database::new(options, 2));
    let waits: LockWaits = database.lock_waits();
    let shutdown = CancellationToken::new();
    let component = Readiness::new("test").component("database");
    let (watched, stop) = (Arc::clone(&database), shutdown.clone());
    let watch = tokio::spawn(async move { watched.watch(&NO_MIGRATIONS, component, stop).await });
    let update = || sqlx::query("UPDATE products SET id = 2").execute(database.pool());
    let (first, second) = tokio::join!(update(), update());
    let expected = format!("lock timeout on products: held by backend {pid} (psql) for ");
    for failed in [first, second] {
        let failure = Failure::from_database("reserving stock", failed.unwrap_err());
        let cause = waits.cause(&failure).unwrap();
        assert!(cause.starts_with(&expected), "{cause}");
    }
    transaction.rollback().await.unwrap();
    shutdown.cancel();
    watch.await.unwrap().unwrap();
    database.close().await;
}
