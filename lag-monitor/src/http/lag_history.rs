//! `GET /lag/history`: the lag of one group on one topic at the last polls.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service_kit::query_params::QueryParams;
use service_kit::{BoundedInt, Problem};

use super::Monitor;
use super::group_topic_query::GroupTopicQuery;
use crate::format::rfc3339;
use crate::lag_fields::TotalLagFields;
use crate::lag_state::LagSample;

const DEFAULT_LIMIT: usize = 20;

/// The value of `?limit=`.
type Limit = BoundedInt<1, 1_000>;

#[derive(Serialize)]
pub(super) struct LagHistoryAnswer {
    topic: String,
    group_id: String,
    history: Vec<SampleAnswer>,
    count: usize,
}

#[derive(Serialize)]
struct SampleAnswer {
    timestamp: String,
    #[serde(flatten)]
    lag: TotalLagFields,
    status: &'static str,
}

impl SampleAnswer {
    fn of(sample: &LagSample) -> Self {
        Self {
            timestamp: rfc3339(sample.timestamp),
            lag: sample.total_lag.into(),
            status: sample.status.name(),
        }
    }
}

/// The last `limit` samples, oldest first.
pub(super) async fn lag_history(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<LagHistoryAnswer>, Problem> {
    let query = GroupTopicQuery::take(&mut parameters);
    let limit: Option<Limit> = parameters.take("limit");
    parameters.finish()?;
    let pair = monitor.read_current(|current| query.find(&monitor, current.snapshot))?;
    let limit = limit.map_or(DEFAULT_LIMIT, |limit| limit.0 as usize);
    let samples = monitor.state.lag_history(&pair, limit);
    let history: Vec<SampleAnswer> = samples.iter().map(SampleAnswer::of).collect();
    Ok(Json(LagHistoryAnswer {
        topic: pair.topic,
        group_id: pair.group,
        count: history.len(),
        history,
    }))
}
