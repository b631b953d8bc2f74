//! `GET /alerts` and `DELETE /alerts`: what changed. Also while the cluster cannot be read: an alert has its own time, and that
//! it cannot is one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service_kit::Problem;
use service_kit::parameters::Parameters;

use super::Monitor;
use super::selection::{Asked, limit};
use crate::watch::Alert;

/// Alerts unless asked otherwise.
const ALERTS: usize = 10;

#[derive(Serialize)]
pub(super) struct AlertsAnswer {
    alerts: Vec<Arc<Alert>>,
    count: usize,
}

/// Of all groups, newest first; of one if `group` or `topic` is named.
pub(super) async fn list(
    State(monitor): State<Monitor>,
    mut parameters: Parameters,
) -> Result<Json<AlertsAnswer>, Problem> {
    let asked = Asked::take(&mut parameters);
    let limit = limit(&mut parameters, ALERTS);
    parameters.finish()?;
    let pair = match asked.names_nothing() {
        true => None,
        false => Some(monitor.look(|view| asked.find(&monitor, view.snapshot))?),
    };
    Ok(answer(monitor.watch.alerts(pair.as_ref(), limit)))
}

pub(super) async fn clear(
    State(monitor): State<Monitor>,
    parameters: Parameters,
) -> Result<Json<AlertsAnswer>, Problem> {
    parameters.finish()?;
    monitor.watch.clear_alerts();
    Ok(answer(Vec::new()))
}

fn answer(alerts: Vec<Arc<Alert>>) -> Json<AlertsAnswer> {
    Json(AlertsAnswer {
        count: alerts.len(),
        alerts,
    })
}
