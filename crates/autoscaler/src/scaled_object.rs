//! A ScaledObject in KEDA's own YAML form. What this autoscaler does not support is refused by its name, so that a manifest
//! never means less here than on Kubernetes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::manifest::{Manifest, Spec};
use crate::settings::{InvalidSetting, OffsetResetPolicy, Settings};

/// The longest time of a setting, in seconds.
const LONGEST: u32 = 24 * 60 * 60;

/// The most replicas that can be asked for.
const MOST_REPLICAS: u32 = 1_000;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaledObject {
    /// `spec.scaleTargetRef.name`: the service.
    pub target: String,
    /// `consumerGroup` of the trigger.
    pub consumer_group: String,
    /// `topic` of the trigger; without it all topics of the group count.
    pub topic: Option<String>,
    /// The other settings.
    pub settings: Settings,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ScaledObjectError {
    /// It is not YAML, or has a field that is unknown, missing, or of another type.
    #[error("{}", one_line(.0))]
    Yaml(String),
    /// A field has a value that this autoscaler does not support.
    #[error("{field} is {value}: {limit}")]
    Value {
        /// Its path.
        field: String,
        /// Its value.
        value: String,
        /// What is supported.
        limit: String,
    },
    /// Fields contradict each other.
    #[error(transparent)]
    Settings(#[from] InvalidSetting),
}

impl ScaledObject {
    /// Reads a manifest. Fields that are left out have the defaults of KEDA's documentation.
    ///
    /// # Errors
    /// Names the first field that is wrong, unknown or not supported here.
    pub fn from_yaml(text: &str) -> Result<Self, ScaledObjectError> {
        let manifest: Manifest = serde_saphyr::from_str(text)
            .map_err(|error| ScaledObjectError::Yaml(error.to_string()))?;
        only("apiVersion", &manifest.api_version, "keda.sh/v1alpha1")?;
        only("kind", &manifest.kind, "ScaledObject")?;
        // They pause KEDA, or take over another autoscaler.
        let mut annotations = manifest.metadata.annotations.into_iter();
        let of_keda = annotations.find(|(name, _)| name.contains("keda.sh/"));
        if let Some((name, value)) = of_keda {
            return Err(wrong(
                &format!("annotation {name}"),
                &value,
                "not supported",
            ));
        }
        let spec = manifest.spec;
        let target = &spec.scale_target_ref;
        only(
            "scaleTargetRef.kind",
            target.kind.as_deref().unwrap_or("Deployment"),
            "Deployment",
        )?;
        only(
            "scaleTargetRef.apiVersion",
            target.api_version.as_deref().unwrap_or("apps/v1"),
            "apps/v1",
        )?;
        let mut settings = general(&spec)?;
        let trigger = match spec.triggers.as_slice() {
            [one] => one,
            more => {
                return Err(wrong(
                    "the number of triggers",
                    &more.len().to_string(),
                    "must be 1",
                ));
            }
        };
        only("trigger type", &trigger.r#type, "kafka")?;
        only(
            "metricType",
            trigger.metric_type.as_deref().unwrap_or("AverageValue"),
            "AverageValue",
        )?;
        let mut fields = Fields(trigger.metadata.clone());
        let (consumer_group, topic) = fields.trigger(&mut settings)?;
        settings.validate(topic.is_some())?;
        Ok(Self {
            target: spec.scale_target_ref.name,
            consumer_group,
            topic,
            settings,
        })
    }
}

/// The settings outside of the trigger.
fn general(spec: &Spec) -> Result<Settings, ScaledObjectError> {
    let advanced = spec.advanced.as_ref();
    if advanced.and_then(|one| one.restore_to_original_replica_count) == Some(true) {
        let field = "restoreToOriginalReplicaCount";
        return Err(wrong(field, "true", "not supported"));
    }
    let config = advanced.and_then(|one| one.horizontal_pod_autoscaler_config.as_ref());
    let behavior = config.and_then(|one| one.behavior.as_ref());
    let down = behavior.and_then(|one| one.scale_down.as_ref());
    let window = down.and_then(|one| one.stabilization_window_seconds.as_ref());
    let mut settings = Settings::default();
    let seconds = |field: &str, text: Option<&String>, least: u32, into: &mut Duration| {
        let number = number(field, text, least, LONGEST)?;
        *into = number.map_or(*into, |number| Duration::from_secs(number.into()));
        Ok::<_, ScaledObjectError>(())
    };
    let (polling, cooldown) = (&spec.polling_interval, &spec.cooldown_period);
    seconds(
        "pollingInterval",
        polling.as_ref(),
        1,
        &mut settings.polling_interval,
    )?;
    seconds(
        "cooldownPeriod",
        cooldown.as_ref(),
        0,
        &mut settings.cooldown_period,
    )?;
    seconds(
        "stabilizationWindowSeconds",
        window,
        0,
        &mut settings.stabilization_window,
    )?;
    let (least, most) = (&spec.min_replica_count, &spec.max_replica_count);
    let least = number("minReplicaCount", least.as_ref(), 0, MOST_REPLICAS)?;
    let most = number("maxReplicaCount", most.as_ref(), 1, MOST_REPLICAS)?;
    settings.min_replicas = least.unwrap_or(settings.min_replicas);
    settings.max_replicas = most.unwrap_or(settings.max_replicas);
    Ok(settings)
}

/// A whole number within these bounds, if the field is given.
fn number(
    field: &str,
    text: Option<&String>,
    least: u32,
    most: u32,
) -> Result<Option<u32>, ScaledObjectError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let number = text.parse().ok();
    let number = number.filter(|number| (least..=most).contains(number));
    let limit = || format!("must be a whole number from {least} to {most}");
    number.map(Some).ok_or_else(|| wrong(field, text, &limit()))
}

/// The metadata of a trigger: names and values are strings.
struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads every field; one that is left over is unknown.
    fn trigger(
        &mut self,
        settings: &mut Settings,
    ) -> Result<(String, Option<String>), ScaledObjectError> {
        let group = self.0.remove("consumerGroup");
        let group = group.ok_or_else(|| wrong("consumerGroup", "missing", "KEDA needs it"))?;
        let topic = self.0.remove("topic").filter(|topic| !topic.is_empty());
        // The stack knows its brokers, and its client speaks every version.
        for unused in ["bootstrapServers", "version"] {
            self.0.remove(unused);
        }
        self.number("lagThreshold", &mut settings.lag_threshold)?;
        self.number(
            "activationLagThreshold",
            &mut settings.activation_lag_threshold,
        )?;
        self.flag("allowIdleConsumers", &mut settings.allow_idle_consumers)?;
        self.flag(
            "scaleToZeroOnInvalidOffset",
            &mut settings.scale_to_zero_on_invalid_offset,
        )?;
        self.flag("excludePersistentLag", &mut settings.exclude_persistent_lag)?;
        self.flag(
            "limitToPartitionsWithLag",
            &mut settings.limit_to_partitions_with_lag,
        )?;
        self.flag(
            "ensureEvenDistributionOfPartitions",
            &mut settings.ensure_even_distribution_of_partitions,
        )?;
        settings.offset_reset_policy = match self.0.remove("offsetResetPolicy").as_deref() {
            None | Some("latest") => OffsetResetPolicy::Latest,
            Some("earliest") => OffsetResetPolicy::Earliest,
            Some(other) => {
                return Err(wrong(
                    "offsetResetPolicy",
                    other,
                    "must be latest or earliest",
                ));
            }
        };
        match self.0.first_key_value() {
            None => Ok((group, topic)),
            Some((name, value)) => Err(wrong(
                &format!("trigger metadata {name}"),
                value,
                "this field is unknown, or not supported here",
            )),
        }
    }

    fn number(&mut self, name: &str, into: &mut i64) -> Result<(), ScaledObjectError> {
        if let Some(text) = self.0.remove(name) {
            let number = text
                .parse()
                .map_err(|_| wrong(name, &text, "must be a whole number"))?;
            *into = number;
        }
        Ok(())
    }

    fn flag(&mut self, name: &str, into: &mut bool) -> Result<(), ScaledObjectError> {
        if let Some(text) = self.0.remove(name) {
            let flag = text
                .parse()
                .map_err(|_| wrong(name, &text, "must be 'true' or 'false'"))?;
            *into = flag;
        }
        Ok(())
    }
}

fn only(field: &str, value: &str, supported: &str) -> Result<(), ScaledObjectError> {
    match value == supported {
        true => Ok(()),
        false => Err(wrong(field, value, &format!("must be {supported}"))),
    }
}

fn wrong(field: &str, value: &str, limit: &str) -> ScaledObjectError {
    ScaledObjectError::Value {
        field: field.to_owned(),
        value: value.to_owned(),
        limit: limit.to_owned(),
    }
}

/// The parser shows the place in the file on further lines.
fn one_line(error: &str) -> &str {
    let line = error.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line)
}
