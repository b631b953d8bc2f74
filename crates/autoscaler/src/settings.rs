//! The settings of the autoscaler.

use std::fmt;
use std::time::Duration;

/// KEDA's settings of a ScaledObject with a Kafka trigger. The default is what KEDA's documentation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `minReplicaCount`: the fewest members.
    pub min_replicas: u32,
    /// `maxReplicaCount`: the most members.
    pub max_replicas: u32,
    /// `lagThreshold`: the records that one member may have waiting.
    pub lag_threshold: i64,
    /// `activationLagThreshold`: from 0 members on, a greater lag starts the first one.
    pub activation_lag_threshold: i64,
    /// `pollingInterval`: the time between two readings.
    pub polling_interval: Duration,
    /// `cooldownPeriod`: the lag must be 0 for so long, and nothing be read meanwhile, before the group is scaled to 0.
    pub cooldown_period: Duration,
    /// `stabilizationWindowSeconds` of scaling down: members are removed, but not the last one, when no reading of this time
    /// has asked for more.
    pub stabilization_window: Duration,
    /// `allowIdleConsumers`: more members than partitions are allowed.
    pub allow_idle_consumers: bool,
    /// `limitToPartitionsWithLag`: no more members than partitions with lag.
    pub limit_to_partitions_with_lag: bool,
    /// `excludePersistentLag`: a partition whose committed offset is that of the reading before does not count.
    pub exclude_persistent_lag: bool,
    /// `scaleToZeroOnInvalidOffset`: a partition without a committed offset counts as lag 0.
    pub scale_to_zero_on_invalid_offset: bool,
    /// `ensureEvenDistributionOfPartitions`: only numbers that divide the number of partitions.
    pub ensure_even_distribution_of_partitions: bool,
    /// `offsetResetPolicy`: only the comparison with KEDA uses it.
    pub offset_reset_policy: OffsetResetPolicy,
    /// The lag is to be gone within this time: replaces the lag threshold. KEDA's Kafka scaler has nothing like it.
    pub target_drain: Option<Duration>,
    /// The most instances that the service can have where it runs.
    pub most_instances: u32,
}

/// Where a group without a committed offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetResetPolicy {
    /// At the end.
    Latest,
    /// At the first record.
    Earliest,
}

/// Settings that contradict each other. The text names them and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(pub String);

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_replicas: 0,
            max_replicas: 100,
            lag_threshold: 10,
            activation_lag_threshold: 0,
            polling_interval: Duration::from_secs(30),
            cooldown_period: Duration::from_secs(300),
            stabilization_window: Duration::from_secs(300),
            allow_idle_consumers: false,
            limit_to_partitions_with_lag: false,
            exclude_persistent_lag: false,
            scale_to_zero_on_invalid_offset: false,
            ensure_even_distribution_of_partitions: false,
            offset_reset_policy: OffsetResetPolicy::Latest,
            target_drain: None,
            most_instances: u32::MAX,
        }
    }
}

impl Settings {
    /// Checks the limits and the rules between settings. `has_topic`: whether a topic is named.
    ///
    /// # Errors
    /// Names the first wrong setting with its limit.
    pub fn validate(&self, has_topic: bool) -> Result<(), InvalidSetting> {
        let wrong = |text: String| Err(InvalidSetting(text));
        let (min, max) = (self.min_replicas, self.max_replicas);
        if max < 1 {
            return wrong("the most replicas must be at least 1".to_owned());
        }
        if min > max {
            return wrong(format!(
                "the fewest replicas ({min}) must not be above the most ({max})"
            ));
        }
        if self.lag_threshold < 1 {
            return wrong(format!(
                "the lag threshold must be at least 1, not {}",
                self.lag_threshold
            ));
        }
        if self.activation_lag_threshold < 0 {
            return wrong(format!(
                "the activation lag threshold must be at least 0, not {}",
                self.activation_lag_threshold
            ));
        }
        if self.limit_to_partitions_with_lag && self.allow_idle_consumers {
            return wrong(
                "limiting to partitions with lag excludes allowing idle consumers: choose one"
                    .to_owned(),
            );
        }
        if self.limit_to_partitions_with_lag && !has_topic {
            return wrong("limiting to partitions with lag needs a topic".to_owned());
        }
        Ok(())
    }
}

impl fmt::Display for OffsetResetPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latest => "latest",
            Self::Earliest => "earliest",
        })
    }
}
