//! `GET /recommendations`: what to do about one group on one topic.

use axum::Json;
use axum::extract::State;
use cluster_reader::group_health::GroupHealth;
use serde::Serialize;
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::Monitor;
use super::group_topic_query::GroupTopicQuery;
use crate::lag_fields::TotalLagFields;
use crate::lag_state::{CurrentState, GroupTopic};
use crate::recommend::{RecommendContext, Recommendation, recommend};

#[derive(Serialize)]
pub(super) struct RecommendationsAnswer {
    #[serde(flatten)]
    lag: TotalLagFields,
    rate_of_change: Option<f64>,
    recommendations: Vec<Recommendation>,
}

pub(super) async fn list(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<RecommendationsAnswer>, Problem> {
    let query = GroupTopicQuery::take(&mut parameters);
    parameters.finish()?;
    monitor.read_current(|current| {
        let pair = query.find(&monitor, current.snapshot)?;
        let health = current
            .group_health(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        Ok(Json(RecommendationsAnswer {
            recommendations: recommendations(&monitor, current, &pair, &health),
            lag: health.total_lag.into(),
            rate_of_change: health.rates.map(|rates| rates.lag),
        }))
    })
}

pub(super) fn recommendations(
    monitor: &Monitor,
    current: CurrentState<'_>,
    pair: &GroupTopic,
    health: &GroupHealth,
) -> Vec<Recommendation> {
    let context = RecommendContext {
        mode: monitor.mode,
        prefix: monitor.prefix(),
        snapshot: current.snapshot,
        instances: current.instances(&pair.group),
        group: &pair.group,
        topic: &pair.topic,
        offsets_hang: current.offsets_hang(),
    };
    recommend(context, health)
}
