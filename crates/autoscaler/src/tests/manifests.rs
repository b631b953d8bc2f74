//! ScaledObjects as people write them.

use std::time::Duration;

use crate::{OffsetResetPolicy, ScaledObject, Settings};

const MANIFEST: &str = "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: inventory-service
spec:
  scaleTargetRef:
    name: inventory-service
  maxReplicaCount: 10
  triggers:
    - type: kafka
      metadata:
        bootstrapServers: kafka:9092
        consumerGroup: inventory-service-group
        topic: payments
";

/// The error of the manifest after a replacement.
fn refused(from: &str, to: &str) -> String {
    let text = MANIFEST.replace(from, to);
    assert_ne!(text, MANIFEST, "{from}");
    ScaledObject::from_yaml(&text).unwrap_err().to_string()
}

#[test]
fn fields_that_are_left_out_have_the_defaults_of_kedas_documentation() {
    let read = ScaledObject::from_yaml(MANIFEST).unwrap();
    assert_eq!(read.target, "inventory-service");
    assert_eq!(read.consumer_group, "inventory-service-group");
    assert_eq!(read.topic.as_deref(), Some("payments"));
    let defaults = Settings {
        max_replicas: 10,
        ..Settings::default()
    };
    assert_eq!(read.settings, defaults);
    let (polling, cooldown) = (defaults.polling_interval, defaults.cooldown_period);
    assert_eq!(
        (
            polling.as_secs(),
            cooldown.as_secs(),
            defaults.lag_threshold
        ),
        (30, 300, 10)
    );
}

#[test]
fn every_supported_field_is_read() {
    let text = MANIFEST
        .replace(
            "  maxReplicaCount: 10\n",
            "  minReplicaCount: 1\n  maxReplicaCount: 9\n  pollingInterval: 5\n  cooldownPeriod: 30\n  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleDown:\n          stabilizationWindowSeconds: 60\n",
        )
        .replace(
            "        topic: payments\n",
            "        topic: payments\n        lagThreshold: '20'\n        activationLagThreshold: \"3\"\n        offsetResetPolicy: earliest\n        excludePersistentLag: 'true'\n        limitToPartitionsWithLag: 'true'\n        scaleToZeroOnInvalidOffset: 'true'\n        ensureEvenDistributionOfPartitions: 'true'\n        allowIdleConsumers: 'false'\n        version: 1.0.0\n",
        );
    let expected = Settings {
        min_replicas: 1,
        max_replicas: 9,
        lag_threshold: 20,
        activation_lag_threshold: 3,
        polling_interval: Duration::from_secs(5),
        cooldown_period: Duration::from_secs(30),
        stabilization_window: Duration::from_secs(60),
        allow_idle_consumers: false,
        limit_to_partitions_with_lag: true,
        exclude_persistent_lag: true,
        scale_to_zero_on_invalid_offset: true,
        ensure_even_distribution_of_partitions: true,
        offset_reset_policy: OffsetResetPolicy::Earliest,
        ..Settings::default()
    };
    assert_eq!(ScaledObject::from_yaml(&text).unwrap().settings, expected);
}

#[test]
fn what_is_unknown_or_wrong_is_refused_by_its_name() {
    for (from, to, named) in [
        (
            "type: kafka",
            "type: rabbitmq",
            "trigger type is rabbitmq: must be kafka",
        ),
        (
            "topic: payments",
            "topic: payments\n        lagTreshold: '5'",
            "lagTreshold",
        ),
        (
            "topic: payments",
            "topic: payments\n        lagThreshold: ten",
            "lagThreshold is ten: must be a whole number",
        ),
        (
            "topic: payments",
            "topic: payments\n        lagThreshold: '0'",
            "lag threshold must be at least 1",
        ),
        (
            "topic: payments",
            "topic: payments\n        allowIdleConsumers: 'yes'",
            "allowIdleConsumers is yes",
        ),
        (
            "topic: payments",
            "limitToPartitionsWithLag: 'true'",
            "needs a topic",
        ),
        (
            "consumerGroup: inventory-service-group",
            "sasl: none",
            "consumerGroup",
        ),
        ("maxReplicaCount: 10", "maxReplicas: 10", "maxReplicas"),
        (
            "maxReplicaCount: 10",
            "pollingInterval: 0",
            "pollingInterval is 0",
        ),
        (
            "maxReplicaCount: 10",
            "minReplicaCount: 200",
            "fewest replicas (200)",
        ),
        (
            "maxReplicaCount: 10",
            "maxReplicaCount: -1",
            "maxReplicaCount is -1: must be a whole number from 1 to 1000",
        ),
        ("maxReplicaCount: 10", "fallback: {}", "fallback"),
        (
            "kind: ScaledObject",
            "kind: ScaledJob",
            "kind is ScaledJob: must be ScaledObject",
        ),
        (
            "name: inventory-service\nspec",
            "name: x\n  annotations:\n    autoscaling.keda.sh/paused: 'true'\nspec",
            "autoscaling.keda.sh/paused",
        ),
    ] {
        let error = refused(from, to);
        assert!(
            error.contains(named) && !error.contains('\n'),
            "{named}: {error}"
        );
    }
    for text in ["", "[]", "a: b: c", "\u{0}", "apiVersion: [1"] {
        let error = ScaledObject::from_yaml(text).unwrap_err().to_string();
        assert!(
            !error.is_empty() && !error.contains('\n'),
            "{text}: {error}"
        );
    }
}
