//! The settings of a member and of its group apply from the first record on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_admin::publish::RawRecord;
use kafka_runtime::{Clock, MemberSettings};
use shared_events::member_api::{EffectiveConfig, Source};
use shared_events::{GroupControls, Service, Topic};
use test_stack::eventually;
use tokio::time::timeout;

use crate::harness::{DEADLINE, Harness, Running, start};
use crate::test_service::{TestService, order, orders};

pub const SERVICE: Service = Service::Payment;

pub fn work(processing_time_ms: u32) -> GroupControls {
    GroupControls {
        processing_time_ms: Some(processing_time_ms),
        ..GroupControls::default()
    }
}

pub fn batches(batch_max: u32) -> GroupControls {
    GroupControls {
        batch_max: Some(batch_max),
        ..GroupControls::default()
    }
}

pub fn paused(paused: bool) -> GroupControls {
    GroupControls {
        paused: Some(paused),
        ..GroupControls::default()
    }
}

/// Waits until the effective configuration of the member is as expected.
pub async fn wait_for_config(
    member: &Running,
    what: &str,
    expected: impl Fn(&EffectiveConfig) -> bool,
) {
    eventually(DEADLINE, what, async || {
        let config = member.controls.effective();
        if expected(&config) {
            Ok(())
        } else {
            Err(format!("{config:?}"))
        }
    })
    .await;
}

pub fn control_record(key: &str, value: Option<&str>) -> RawRecord {
    RawRecord {
        topic: Topic::Controls,
        partition: None,
        key: Some(key.as_bytes().to_vec()),
        headers: Vec::new(),
        value: value.map(|value| value.as_bytes().to_vec()),
    }
}

/// A clock whose waits end at once, and the waits so far.
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

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_settings_apply_to_the_first_record_of_a_member() {
    let harness = Harness::new("late", 1).await;
    harness.publish_orders(&orders(5)).await;
    // Many records before the last one: a member that did not read to the end would start with another setting.
    let earlier: Vec<_> = (1..=20_000)
        .map(|time| {
            control_record(
                SERVICE.name(),
                Some(&format!(r#"{{"processing_time_ms": {time}}}"#)),
            )
        })
        .collect();
    harness.publish(&earlier).await;
    harness
        .cluster
        .set_controls(SERVICE, &work(2_000))
        .await
        .unwrap();
    let waits = Waits::default();
    let member = start(waits.on(harness.settings()), TestService::default());
    harness.all_committed().await;
    assert_eq!(waits.millis(), [2_000; 5]);
    let config = member.controls.effective();
    assert_eq!((config.processing_time_ms, config.batch_max), (2_000, 1));
    assert_eq!(config.sources.batch_max, Source::Group);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_once_and_only_for_work() {
    let harness = Harness::new("waits", 1).await;
    let waits = Waits::default();
    let member = start(waits.on(harness.settings()), TestService::default());
    member.ready().await;
    member.controls.update(work(7));
    // A run that waits for records has read its configuration already. After the pause all runs have the new one.
    member.controls.pause();
    member.reports("paused").await;
    harness.publish_orders(&orders(10)).await;
    member.controls.resume();
    harness.all_committed().await;
    assert_eq!(waits.millis(), [7; 10]);

    member
        .metric_reaches("consumer_batch_records_count", 10)
        .await;
    waits.0.lock().unwrap().clear();
    member.controls.update(batches(100));
    member.controls.pause();
    member.reports("paused").await;
    harness.publish_orders(&orders(50)).await;
    member.controls.resume();
    harness.all_committed().await;
    let batches = waits.millis().len() as u64;
    member
        .metric_reaches("consumer_batch_records_count", 10 + batches)
        .await;
    assert!(batches < 50, "{batches} batches for 50 records");

    waits.0.lock().unwrap().clear();
    let poison = RawRecord {
        value: Some(b"{".to_vec()),
        ..RawRecord::event(&order("prod")).unwrap()
    };
    harness.publish(&[poison]).await;
    harness.all_committed().await;
    assert_eq!(waits.millis(), [0; 0]);
    let topic = harness.kafka.name_prefix.topic(Topic::Orders);
    let errors = format!(r#"kafka_consumption_errors_total{{consumer_id="1",topic="{topic}"}}"#);
    member.metric_reaches(&errors, 1).await;
    let seconds =
        format!(r#"kafka_message_processing_seconds_count{{consumer_id="1",topic="{topic}"}}"#);
    member.metric_reaches(&seconds, 61).await;
    for gauge in ["running", "paused", "messages_per_second"] {
        let gauge = format!(r#"kafka_consumer_{gauge}{{consumer_id="1"}}"#);
        let text = prometheus::TextEncoder::new();
        let text = text.encode_to_string(&member.registry.gather()).unwrap();
        assert!(text.contains(&gauge), "{gauge}: {text}");
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_simulated_work_and_the_batch_is_redelivered() {
    let harness = Harness::new("cut_short", 1).await;
    harness.publish_orders(&orders(1)).await;
    let mut settings = harness.settings();
    settings.consumer.processing_time_ms = Some(30_000);
    let service = TestService::default();
    let member = start(settings, service.clone());
    eventually(DEADLINE, "the order is read", async || {
        match service.read.load(std::sync::atomic::Ordering::Relaxed) {
            0 => Err("not yet"),
            _ => Ok(()),
        }
    })
    .await;
    let ended = timeout(Duration::from_secs(28), member.stop()).await;
    assert!(ended.is_ok(), "the simulated work went on");
    assert!(service.applied.lock().unwrap().is_empty());
    assert!(harness.answers().await.is_empty());

    let next = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    next.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (1, Some(&1)));
}
