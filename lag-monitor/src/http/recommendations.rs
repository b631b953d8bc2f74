//! `GET /recommendations`: what to do about a group on a topic.

use axum::Json;
use axum::extract::State;
use cluster_reader::judge::Judgement;
use serde::Serialize;
use service_kit::Problem;
use service_kit::parameters::Parameters;

use super::Monitor;
use super::selection::Asked;
use crate::recommend::{Place, Recommendation, recommend};
use crate::watch::{Pair, View};

#[derive(Serialize)]
pub(super) struct RecommendationsAnswer {
    total_lag: Option<i64>,
    rate_of_change: Option<f64>,
    recommendations: Vec<Recommendation>,
}

pub(super) async fn list(
    State(monitor): State<Monitor>,
    mut parameters: Parameters,
) -> Result<Json<RecommendationsAnswer>, Problem> {
    let asked = Asked::take(&mut parameters);
    parameters.finish()?;
    monitor.look(|view| {
        let pair = asked.find(&monitor, view.snapshot)?;
        let judgement = view
            .judge(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        Ok(Json(RecommendationsAnswer {
            recommendations: about(&monitor, view, &pair, &judgement),
            total_lag: judgement.total_lag,
            rate_of_change: judgement.rates.map(|rates| rates.lag),
        }))
    })
}

/// What to do about a pair, by what was read last.
pub(super) fn about(
    monitor: &Monitor,
    view: View<'_>,
    pair: &Pair,
    judgement: &Judgement,
) -> Vec<Recommendation> {
    let place = Place {
        way: monitor.way,
        prefix: monitor.prefix(),
        snapshot: view.snapshot,
        group: &pair.group,
        topic: &pair.topic,
    };
    recommend(place, judgement)
}
