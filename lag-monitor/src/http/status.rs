//! `GET /status`: the status of one group on one topic, the rule and evidence for it, and its last
//! alerts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::group_topic_query::GroupTopicQuery;
use super::{Monitor, ThresholdsAnswer};
use crate::format::rfc3339;
use crate::lag_state::Alert;

const RECENT_ALERTS: usize = 5;

#[derive(Serialize)]
pub(super) struct StatusAnswer {
    topic: String,
    group_id: String,
    total_lag: Option<i64>,
    status: &'static str,
    rule: &'static str,
    evidence: String,
    last_poll: String,
    thresholds: ThresholdsAnswer,
    recent_alerts: Vec<Arc<Alert>>,
}

pub(super) async fn status(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<StatusAnswer>, Problem> {
    let query = GroupTopicQuery::take(&mut parameters);
    parameters.finish()?;
    let (pair, health, taken_at) = monitor.read_current(|current| {
        let pair = query.find(&monitor, current.snapshot)?;
        let health = current
            .group_health(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        Ok((pair, health, current.snapshot.taken_at))
    })?;
    Ok(Json(StatusAnswer {
        recent_alerts: monitor.state.alerts(Some(&pair), RECENT_ALERTS),
        topic: pair.topic,
        group_id: pair.group,
        total_lag: health.total_lag,
        status: health.status().name(),
        rule: health.rule().name(),
        evidence: health.evidence().to_owned(),
        last_poll: rfc3339(taken_at),
        thresholds: monitor.thresholds(),
    }))
}
