//! The settings of a group in `sandbox.controls`: changed, cleared, invalid, missing.

use kafka_admin::publish::RawRecord;
use kafka_runtime::{Faults, MemberSettings, Protection};
use shared_events::member_api::Source;
use shared_events::{GroupControls, OrNone, Service, Topic};

use crate::controls::{SERVICE, batches, control_record, paused, wait_for_config, work};
use crate::harness::{Harness, start};
use crate::test_service::{REFUSED_BY_RULE, TestService, order, orders};

async fn publish_control(harness: &Harness, key: &str, value: Option<&str>) {
    harness.publish(&[control_record(key, value)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_settings_are_effective_until_they_are_cleared() {
    let harness = Harness::new("cleared", 1).await;
    let controls = async || harness.cluster.controls(SERVICE).await.unwrap();
    assert_eq!(controls().await, None);
    let member = start(harness.settings(), TestService::default());
    member.controls.update(batches(3));
    harness
        .cluster
        .set_controls(SERVICE, &work(5))
        .await
        .unwrap();
    assert_eq!(controls().await, Some(work(5)));
    wait_for_config(&member, "the group's settings", |config| {
        (config.processing_time_ms, config.batch_max) == (5, 1)
    })
    .await;
    member.controls.update(batches(4));
    harness.cluster.clear_controls(SERVICE).await.unwrap();
    assert_eq!(controls().await, None);
    wait_for_config(&member, "the defaults", |config| {
        (config.processing_time_ms, config.batch_max) == (0, 500)
            && config.sources.batch_max == Source::Default
    })
    .await;
    member.stop().await;
    for invalid in [work(120_001), batches(0), GroupControls::default()] {
        let refused = harness.cluster.set_controls(SERVICE, &invalid).await;
        assert!(refused.is_err(), "{invalid:?}");
    }
    assert_eq!(controls().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_records_are_counted_and_later_ones_are_effective() {
    let harness = Harness::new("invalid", 1).await;
    let invalid = [
        ("shop-service", Some("{\"batch_max\": 1}"), "unknown_key"),
        ("", None, "unknown_key"),
        (SERVICE.name(), Some("{"), "not_an_object"),
        (SERVICE.name(), Some("null"), "not_an_object"),
        (SERVICE.name(), Some(""), "not_an_object"),
        (SERVICE.name(), Some("{}"), "names_nothing"),
        (SERVICE.name(), Some("{\"batch_max\": 0}"), "out_of_bounds"),
        (SERVICE.name(), Some("{\"paused\": 1}"), "out_of_bounds"),
    ];
    publish_control(&harness, SERVICE.name(), Some(r#"{"batch_max": 8}"#)).await;
    // Half of them before the member starts, the others while it runs.
    let (before, after) = invalid.split_at(4);
    for (key, value, _) in before {
        publish_control(&harness, key, *value).await;
    }
    let member = start(harness.settings(), TestService::default());
    wait_for_config(&member, "the record before the invalid ones", |config| {
        config.batch_max == 8
    })
    .await;
    for (key, value, _) in after {
        publish_control(&harness, key, *value).await;
    }
    // An invalid record of another service is not counted here.
    publish_control(&harness, Service::Order.name(), Some("{")).await;
    assert_eq!(
        harness.cluster.controls(SERVICE).await.unwrap(),
        Some(batches(8))
    );
    publish_control(
        &harness,
        SERVICE.name(),
        Some(r#"{"batch_max": 9, "colour": "blue"}"#),
    )
    .await;
    wait_for_config(&member, "the record after the invalid ones", |config| {
        config.batch_max == 9
    })
    .await;
    for reason in [
        "unknown_key",
        "not_an_object",
        "out_of_bounds",
        "names_nothing",
    ] {
        let expected = invalid.iter().filter(|(.., kind)| *kind == reason).count();
        let line = format!(r#"kafka_controls_ignored_total{{reason="{reason}"}}"#);
        member.metric_reaches(&line, expected as u64).await;
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_sandbox_unsafe_ignores_the_faults_of_its_group() {
    let harness = Harness::new("group_faults", 2).await;
    let unsafe_settings = MemberSettings {
        faults: Faults::new(None, None),
        ..harness.settings()
    };
    let obeys = start(unsafe_settings, TestService::default());
    let ignores = start(harness.settings(), TestService::default());
    let controls = GroupControls {
        protection_off: Some(OrNone(Some(Protection::SeekBack))),
        ..batches(7)
    };
    let set = harness.cluster.set_controls(SERVICE, &controls).await;
    set.unwrap();
    wait_for_config(&obeys, "the fault", |config| {
        config.batch_max == 7 && config.protection_off.0 == Some(Protection::SeekBack)
    })
    .await;
    wait_for_config(&ignores, "the rest of the record", |config| {
        config.batch_max == 7 && config.protection_off.0.is_none()
    })
    .await;
    let config = ignores.member.controls().stats().config;
    assert!(
        config.faults_ignored && !config.unsafe_allowed,
        "{config:?}"
    );
    let counted = r#"kafka_controls_ignored_total{reason="fault_not_allowed"}"#;
    ignores.metric_reaches(counted, 1).await;
    obeys.metric_reaches(counted, 0).await;
    let cleared = harness.cluster.clear_controls(SERVICE).await;
    cleared.unwrap();
    wait_for_config(&obeys, "no fault", |config| {
        config.protection_off.0.is_none()
    })
    .await;
    obeys.stop().await;
    ignores.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_group_consumes_nothing_until_it_is_resumed() {
    let harness = Harness::new("group_pause", 2).await;
    let first = start(harness.settings(), TestService::default());
    first.ready().await;
    harness
        .cluster
        .set_controls(SERVICE, &paused(true))
        .await
        .unwrap();
    first.reports("paused").await;
    harness.publish_orders(&orders(20)).await;
    let second = start(harness.settings(), TestService::default());
    second.reports("paused").await;
    assert_eq!(
        second
            .service
            .read
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
    assert!(harness.answers().await.is_empty());
    harness
        .cluster
        .set_controls(SERVICE, &paused(false))
        .await
        .unwrap();
    harness.all_committed().await;
    first.stop().await;
    second.stop().await;
    let answers = harness.answers().await;
    assert_eq!((answers.len(), answers.values().max()), (20, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_group_resumes_a_member_halted_at_the_poison_limit() {
    let harness = Harness::new("group_resume", 1).await;
    let records: Vec<_> = (0..4)
        .map(|_| RawRecord::event(&order(REFUSED_BY_RULE)).unwrap())
        .collect();
    harness.publish(&records).await;
    let mut settings = harness.settings();
    settings.consumer.poison_limit = 3;
    let member = start(settings, TestService::default());
    member.reports("poison_limit: 3").await;
    harness
        .cluster
        .set_controls(SERVICE, &batches(9))
        .await
        .unwrap();
    wait_for_config(&member, "another setting", |config| config.batch_max == 9).await;
    assert!(!member.readiness.is_ready(), "only a resume ends a halt");
    harness
        .cluster
        .set_controls(SERVICE, &paused(false))
        .await
        .unwrap();
    harness.all_committed().await;
    member.stop().await;
    assert_eq!(harness.records(Topic::PaymentsDlq).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_control_topic_delays_nothing() {
    let harness = Harness::new("no_topic", 1).await;
    harness
        .cluster
        .delete_topics(&[Topic::Controls])
        .await
        .unwrap();
    let refused = harness.cluster.set_controls(SERVICE, &work(1)).await;
    assert!(refused.unwrap_err().to_string().contains("topics create"));
    harness.publish_orders(&orders(3)).await;
    let member = start(harness.settings(), TestService::default());
    harness.all_committed().await;
    for time in [11, 12] {
        let made = harness
            .cluster
            .create_topics(&[Topic::Controls], None)
            .await;
        made.unwrap();
        harness
            .cluster
            .set_controls(SERVICE, &work(time))
            .await
            .unwrap();
        wait_for_config(&member, "the group's setting", |config| {
            config.processing_time_ms == time
        })
        .await;
        // A deleted topic resets the group. A recreated one works as the first did.
        harness
            .cluster
            .delete_topics(&[Topic::Controls])
            .await
            .unwrap();
        wait_for_config(&member, "the default", |config| {
            config.processing_time_ms == 0
        })
        .await;
    }
    member.stop().await;
}
