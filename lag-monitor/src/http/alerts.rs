//! `GET /alerts` and `DELETE /alerts`: changes of state. An alert carries a timestamp, so alerts
//! are served also while the cluster cannot be read.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service_kit::query_params::QueryParams;
use service_kit::{BoundedInt, Problem};

use super::Monitor;
use super::group_topic_query::GroupTopicQuery;
use crate::lag_state::Alert;

const DEFAULT_LIMIT: usize = 10;

/// The value of `?limit=`.
type Limit = BoundedInt<1, 1_000>;

#[derive(Serialize)]
pub(super) struct AlertsAnswer {
    alerts: Vec<Arc<Alert>>,
    count: usize,
}

/// Newest first. Of one pair if `group` or `topic` is given, else of all pairs and of the cluster.
pub(super) async fn list(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<AlertsAnswer>, Problem> {
    let query = GroupTopicQuery::take(&mut parameters);
    let limit: Option<Limit> = parameters.take("limit");
    parameters.finish()?;
    let pair = match query.is_empty() {
        true => None,
        false => Some(monitor.read_current(|current| query.find(&monitor, current.snapshot))?),
    };
    let limit = limit.map_or(DEFAULT_LIMIT, |limit| limit.0 as usize);
    Ok(answer(monitor.state.alerts(pair.as_ref(), limit)))
}

pub(super) async fn clear(
    State(monitor): State<Monitor>,
    parameters: QueryParams,
) -> Result<Json<AlertsAnswer>, Problem> {
    parameters.finish()?;
    monitor.state.clear_alerts();
    Ok(answer(Vec::new()))
}

fn answer(alerts: Vec<Arc<Alert>>) -> Json<AlertsAnswer> {
    Json(AlertsAnswer {
        count: alerts.len(),
        alerts,
    })
}
