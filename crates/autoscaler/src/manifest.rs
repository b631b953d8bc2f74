//! The fields of a ScaledObject that this autoscaler reads. serde refuses every other field by its name.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(rename = "name")]
    pub(crate) _name: String,
    #[serde(rename = "namespace", default)]
    pub(crate) _namespace: Option<String>,
    #[serde(rename = "labels", default)]
    pub(crate) _labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) scale_target_ref: ScaleTargetRef,
    // Numbers are read as text, so that the error names the field and its limits.
    pub(crate) polling_interval: Option<String>,
    pub(crate) cooldown_period: Option<String>,
    pub(crate) min_replica_count: Option<String>,
    pub(crate) max_replica_count: Option<String>,
    pub(crate) advanced: Option<Advanced>,
    pub(crate) triggers: Vec<Trigger>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ScaleTargetRef {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) api_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Advanced {
    pub(crate) restore_to_original_replica_count: Option<bool>,
    pub(crate) horizontal_pod_autoscaler_config: Option<HorizontalPodAutoscalerConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HorizontalPodAutoscalerConfig {
    pub(crate) behavior: Option<Behavior>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Behavior {
    pub(crate) scale_down: Option<ScaleDown>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ScaleDown {
    pub(crate) stabilization_window_seconds: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Trigger {
    pub(crate) r#type: String,
    pub(crate) metric_type: Option<String>,
    #[serde(rename = "name", default)]
    pub(crate) _name: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}
