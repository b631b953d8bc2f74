//! What a group was told is what its members do, from their first record on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_admin::publish::RawRecord;
use kafka_runtime::controls::Source;
use kafka_runtime::{Clock, MemberSettings};
use shared_events::{GroupControls, Service, Topic};
use test_stack::eventually;
use tokio::time::timeout;

use crate::rig::{DEADLINE, Rig, Running, Watched, order, orders, start};

const SERVICE: Service = Service::Payment;

fn work(processing_time_ms: u32) -> GroupControls {
    GroupControls {
        processing_time_ms: Some(processing_time_ms),
        ..GroupControls::default()
    }
}

fn batches(batch_max: u32) -> GroupControls {
    GroupControls {
        batch_max: Some(batch_max),
        ..GroupControls::default()
    }
}

fn paused(paused: bool) -> GroupControls {
    GroupControls {
        paused: Some(paused),
        ..GroupControls::default()
    }
}

/// The waits of a clock on which each is over at once.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<Vec<Duration>>>);

impl Waits {
    fn on(&self, settings: MemberSettings) -> MemberSettings {
        let waits = Arc::clone(&self.0);
        MemberSettings {
            clock: Clock::of(move |time| waits.lock().unwrap().push(time)),
            ..settings
        }
    }

    fn millis(&self) -> Vec<u128> {
        let waits = self.0.lock().unwrap();
        waits.iter().map(Duration::as_millis).collect()
    }
}

/// Waits until the member's own settings are as the test wants them.
async fn holds(member: &Running, what: &str, is: impl Fn(&kafka_runtime::controls::InForce) -> bool) {
    eventually(DEADLINE, what, async || {
        let held = member.controls.in_force();
        if is(&held) {
            Ok(())
        } else {
            Err(format!("{held:?}"))
        }
    })
    .await;
}

fn told(key: &str, value: Option<&str>) -> RawRecord {
    RawRecord {
        topic: Topic::Controls,
        partition: None,
        key: Some(key.as_bytes().to_vec()),
        headers: Vec::new(),
        value: value.map(|value| value.as_bytes().to_vec()),
    }
}

async fn tell(rig: &Rig, key: &str, value: Option<&str>) {
    rig.publish(&[told(key, value)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_starts_later_takes_its_first_record_as_its_group_was_told() {
    let rig = Rig::new("late", 1).await;
    rig.publish_orders(&orders(5)).await;
    // Much was told before, so that a member which did not wait for the last of it would begin with something else.
    let earlier: Vec<_> = (1..=20_000)
        .map(|time| {
            told(
                SERVICE.name(),
                Some(&format!(r#"{{"processing_time_ms": {time}}}"#)),
            )
        })
        .collect();
    rig.publish(&earlier).await;
    rig.cluster
        .set_controls(SERVICE, &work(2_000))
        .await
        .unwrap();
    let waits = Waits::default();
    let member = start(waits.on(rig.settings()), Watched::default());
    rig.all_committed().await;
    assert_eq!(waits.millis(), [2_000; 5]);
    let held = member.controls.in_force();
    assert_eq!((held.processing_time_ms, held.batch_max), (2_000, 1));
    assert_eq!(held.sources.batch_max, Source::Group);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wait_serves_a_batch_and_what_is_no_work_costs_none() {
    let rig = Rig::new("waits", 1).await;
    let waits = Waits::default();
    let member = start(waits.on(rig.settings()), Watched::default());
    member.ready().await;
    member.controls.ask(work(7));
    // A turn that waits for records has read its settings already: the pause is of a later one.
    member.controls.pause();
    member.says("paused").await;
    rig.publish_orders(&orders(10)).await;
    member.controls.resume();
    rig.all_committed().await;
    assert_eq!(waits.millis(), [7; 10]);

    member.counts("consumer_batch_records_count", 10).await;
    waits.0.lock().unwrap().clear();
    member.controls.ask(batches(100));
    member.controls.pause();
    member.says("paused").await;
    rig.publish_orders(&orders(50)).await;
    member.controls.resume();
    rig.all_committed().await;
    let batches = waits.millis().len() as u64;
    member
        .counts("consumer_batch_records_count", 10 + batches)
        .await;
    assert!(
        batches < 50,
        "{batches} batches of 50 records are no batches"
    );

    waits.0.lock().unwrap().clear();
    let poison = RawRecord {
        value: Some(b"{".to_vec()),
        ..RawRecord::event(&order("prod")).unwrap()
    };
    rig.publish(&[poison]).await;
    rig.all_committed().await;
    assert_eq!(waits.millis(), [0; 0]);
    let topic = rig.kafka.name_prefix.topic(Topic::Orders);
    let errors = format!(r#"kafka_consumption_errors_total{{consumer_id="1",topic="{topic}"}}"#);
    member.counts(&errors, 1).await;
    let seconds =
        format!(r#"kafka_message_processing_seconds_count{{consumer_id="1",topic="{topic}"}}"#);
    member.counts(&seconds, 61).await;
    for gauge in ["running", "paused", "messages_per_second"] {
        let gauge = format!(r#"kafka_consumer_{gauge}{{consumer_id="1"}}"#);
        let text = prometheus::TextEncoder::new();
        let text = text.encode_to_string(&member.registry.gather()).unwrap();
        assert!(text.contains(&gauge), "{gauge}: {text}");
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_stop_ends_simulated_work_and_its_batch_comes_to_the_next() {
    let rig = Rig::new("cut_short", 1).await;
    rig.publish_orders(&orders(1)).await;
    let mut settings = rig.settings();
    settings.consumer.processing_time_ms = Some(30_000);
    let service = Watched::default();
    let member = start(settings, service.clone());
    eventually(DEADLINE, "the order is taken", async || {
        match service.read.load(std::sync::atomic::Ordering::Relaxed) {
            0 => Err("not yet"),
            _ => Ok(()),
        }
    })
    .await;
    let ended = timeout(Duration::from_secs(28), member.stop()).await;
    assert!(ended.is_ok(), "it worked on");
    assert!(service.applied.lock().unwrap().is_empty());
    assert!(rig.answers().await.is_empty());

    let next = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    next.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (1, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_read_back_and_holds_until_it_is_taken_back() {
    let rig = Rig::new("told", 1).await;
    let told = async || rig.cluster.controls(SERVICE).await.unwrap();
    assert_eq!(told().await, None);
    let member = start(rig.settings(), Watched::default());
    member.controls.ask(batches(3));
    rig.cluster.set_controls(SERVICE, &work(5)).await.unwrap();
    assert_eq!(told().await, Some(work(5)));
    holds(&member, "the group's settings", |held| {
        (held.processing_time_ms, held.batch_max) == (5, 1)
    })
    .await;
    member.controls.ask(batches(4));
    rig.cluster.clear_controls(SERVICE).await.unwrap();
    assert_eq!(told().await, None);
    holds(&member, "the defaults", |held| {
        (held.processing_time_ms, held.batch_max) == (0, 500)
            && held.sources.batch_max == Source::Default
    })
    .await;
    member.stop().await;
    for unsound in [work(30_001), batches(0), GroupControls::default()] {
        let refused = rig.cluster.set_controls(SERVICE, &unsound).await;
        assert!(refused.is_err(), "{unsound:?}");
    }
    assert_eq!(told().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_ignored_and_counted_and_what_is_told_after_it_holds() {
    let rig = Rig::new("rubbish", 1).await;
    let rubbish = [
        ("shop-service", Some("{\"batch_max\": 1}"), "unknown_key"),
        ("", None, "unknown_key"),
        (SERVICE.name(), Some("{"), "not_an_object"),
        (SERVICE.name(), Some("null"), "not_an_object"),
        (SERVICE.name(), Some(""), "not_an_object"),
        (SERVICE.name(), Some("{}"), "names_nothing"),
        (SERVICE.name(), Some("{\"batch_max\": 0}"), "out_of_bounds"),
        (SERVICE.name(), Some("{\"paused\": 1}"), "out_of_bounds"),
    ];
    tell(&rig, SERVICE.name(), Some(r#"{"batch_max": 8}"#)).await;
    // One half before it starts, the other while it runs.
    let (before, after) = rubbish.split_at(4);
    for (key, value, _) in before {
        tell(&rig, key, *value).await;
    }
    let member = start(rig.settings(), Watched::default());
    holds(&member, "what was told before the rubbish", |held| {
        held.batch_max == 8
    })
    .await;
    for (key, value, _) in after {
        tell(&rig, key, *value).await;
    }
    // Of another service: rubbish of somebody else.
    tell(&rig, Service::Order.name(), Some("{")).await;
    assert_eq!(
        rig.cluster.controls(SERVICE).await.unwrap(),
        Some(batches(8))
    );
    tell(
        &rig,
        SERVICE.name(),
        Some(r#"{"batch_max": 9, "colour": "blue"}"#),
    )
    .await;
    holds(&member, "what was told after the rubbish", |held| {
        held.batch_max == 9
    })
    .await;
    for reason in [
        "unknown_key",
        "not_an_object",
        "out_of_bounds",
        "names_nothing",
    ] {
        let expected = rubbish.iter().filter(|(.., kind)| *kind == reason).count();
        let line = format!(r#"kafka_controls_ignored_total{{reason="{reason}"}}"#);
        member.counts(&line, expected as u64).await;
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_group_takes_nothing_nor_does_who_joins_it_and_a_resumed_one_goes_on() {
    let rig = Rig::new("group_pause", 2).await;
    let first = start(rig.settings(), Watched::default());
    first.ready().await;
    rig.cluster
        .set_controls(SERVICE, &paused(true))
        .await
        .unwrap();
    first.says("paused").await;
    rig.publish_orders(&orders(20)).await;
    let second = start(rig.settings(), Watched::default());
    second.says("paused").await;
    assert_eq!(
        second
            .service
            .read
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
    assert!(rig.answers().await.is_empty());
    rig.cluster
        .set_controls(SERVICE, &paused(false))
        .await
        .unwrap();
    rig.all_committed().await;
    first.stop().await;
    second.stop().await;
    let answers = rig.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (20, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_a_group_also_resumes_a_member_that_stopped_at_the_poison_limit() {
    let rig = Rig::new("group_resume", 1).await;
    let records: Vec<_> = (0..4)
        .map(|_| RawRecord::event(&order(crate::rig::REFUSED_BY_RULE)).unwrap())
        .collect();
    rig.publish(&records).await;
    let mut settings = rig.settings();
    settings.consumer.poison_limit = 3;
    let member = start(settings, Watched::default());
    member.says("poison_limit: 3").await;
    rig.cluster
        .set_controls(SERVICE, &batches(9))
        .await
        .unwrap();
    holds(&member, "another setting", |held| held.batch_max == 9).await;
    assert!(!member.readiness.is_ready(), "only a resume may resume it");
    rig.cluster
        .set_controls(SERVICE, &paused(false))
        .await
        .unwrap();
    rig.all_committed().await;
    member.stop().await;
    assert_eq!(rig.records(Topic::PaymentsDlq).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_topic_nothing_waits_and_what_is_told_once_it_is_there_holds() {
    let rig = Rig::new("no_topic", 1).await;
    rig.cluster.delete_topics(&[Topic::Controls]).await.unwrap();
    let refused = rig.cluster.set_controls(SERVICE, &work(1)).await;
    assert!(refused.unwrap_err().to_string().contains("topics create"));
    rig.publish_orders(&orders(3)).await;
    let member = start(rig.settings(), Watched::default());
    rig.all_committed().await;
    for time in [11, 12] {
        let made = rig.cluster.create_topics(&[Topic::Controls], None).await;
        made.unwrap();
        rig.cluster
            .set_controls(SERVICE, &work(time))
            .await
            .unwrap();
        holds(&member, "what was told", |held| {
            held.processing_time_ms == time
        })
        .await;
        // And when it is made anew, all is as at first.
        rig.cluster.delete_topics(&[Topic::Controls]).await.unwrap();
        holds(&member, "nothing is told", |held| {
            held.processing_time_ms == 0
        })
        .await;
    }
    member.stop().await;
}
