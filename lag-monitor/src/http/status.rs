//! `GET /status`: the status of one group on one topic, the rule and evidence for it, and its last
//! alerts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cluster_reader::group_health::GroupHealth;
use serde::Serialize;
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::group_topic_query::GroupTopicQuery;
use super::{Monitor, ThresholdsAnswer};
use crate::format::rfc3339;
use crate::lag_fields::TotalLagFields;
use crate::lag_state::Alert;

const RECENT_ALERTS: usize = 5;

#[derive(Serialize)]
pub(super) struct StatusAnswer {
    topic: String,
    group_id: String,
    #[serde(flatten)]
    lag: TotalLagFields,
    status: &'static str,
    rule: &'static str,
    /// The reason for the status: the evidence of the first finding.
    evidence: String,
    /// All that was found, the most important first.
    findings: Vec<FindingAnswer>,
    last_poll: String,
    thresholds: ThresholdsAnswer,
    recent_alerts: Vec<Arc<Alert>>,
}

#[derive(Serialize)]
pub(super) struct FindingAnswer {
    status: &'static str,
    rule: &'static str,
    evidence: String,
}

pub(super) async fn status(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<StatusAnswer>, Problem> {
    let query = GroupTopicQuery::take(&mut parameters);
    parameters.finish()?;
    let (pair, health, evidence, taken_at) = monitor.read_current(|current| {
        let pair = query.find(&monitor, current.snapshot)?;
        let health = current
            .group_health(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        let evidence = current.evidence(&pair.group, &health);
        Ok((pair, health, evidence, current.snapshot.taken_at))
    })?;
    Ok(Json(StatusAnswer {
        recent_alerts: monitor.state.alerts(Some(&pair), RECENT_ALERTS),
        topic: pair.topic,
        group_id: pair.group,
        lag: health.total_lag.into(),
        status: health.status().name(),
        rule: health.rule().name(),
        evidence,
        findings: FindingAnswer::all(&health),
        last_poll: rfc3339(taken_at),
        thresholds: monitor.thresholds(),
    }))
}

impl FindingAnswer {
    pub(super) fn all(health: &GroupHealth) -> Vec<Self> {
        let findings = health.findings().iter().map(|one| Self {
            status: one.status.name(),
            rule: one.rule.name(),
            evidence: one.evidence.clone(),
        });
        findings.collect()
    }
}
