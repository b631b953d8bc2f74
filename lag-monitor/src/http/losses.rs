//! `GET /losses` and `POST /losses/acknowledge`: records that were deleted before a group read them.
//! A loss is remembered until a person acknowledges it, or the monitor restarts: the offsets show it
//! for a moment only. So is a topic that was deleted while a group was reading it, which `/status`
//! reports; the same request acknowledges it.

use axum::Json;
use axum::extract::State;
use cluster_reader::group_health::RecordLoss;
use serde::Serialize;
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::Monitor;
use crate::format::{display_name, rfc3339};
use crate::lag_state::CurrentState;

#[derive(Serialize)]
pub(super) struct LossesAnswer {
    losses: Vec<LossAnswer>,
}

#[derive(Serialize)]
pub(super) struct AcknowledgedAnswer {
    acknowledged: Vec<LossAnswer>,
    /// The deleted topics that are not reported any more.
    missing_topics: Vec<MissingTopicAnswer>,
}

#[derive(Serialize)]
struct MissingTopicAnswer {
    group_id: String,
    topic: String,
}

/// A loss on one partition.
#[derive(Serialize)]
pub(super) struct LossAnswer {
    group_id: String,
    topic: String,
    partition: i32,
    first_offset: i64,
    last_offset: i64,
    /// Null unless the number is exact: some of the offsets may have been markers.
    records: Option<i64>,
    records_at_least: i64,
    records_at_most: i64,
    /// False if the group may have read the records just before they were deleted.
    certain: bool,
    /// Whether the group is still behind the start of the log.
    present: bool,
    found_at: String,
}

pub(super) async fn list(
    State(monitor): State<Monitor>,
    parameters: QueryParams,
) -> Result<Json<LossesAnswer>, Problem> {
    parameters.finish()?;
    monitor.read_current(|current| {
        Ok(Json(LossesAnswer {
            losses: losses(current).collect(),
        }))
    })
}

/// Acknowledges the losses and deleted topics of one group, of one topic, of one group on one topic,
/// or all. A name may be given as on the broker, without the prefix of this stack, or as `/losses`
/// displays it.
pub(super) async fn acknowledge(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<AcknowledgedAnswer>, Problem> {
    let group: Option<String> = parameters.take("group");
    let topic: Option<String> = parameters.take("topic");
    parameters.finish()?;
    let matches = |wanted: &Option<String>, name: &str| match wanted {
        Some(wanted) => {
            wanted == name || monitor.prefix().name(wanted) == name || *wanted == display_name(name)
        }
        None => true,
    };
    let is_chosen = |name: &str, of: &str| matches(&group, name) && matches(&topic, of);
    let is_known = monitor.read_current(|current| {
        let mut pairs = current.health.keys();
        let mut losses = current.losses();
        Ok(pairs.any(|pair| is_chosen(&pair.group, &pair.topic))
            || losses.any(|(group, loss)| is_chosen(group, &loss.partition.topic)))
    })?;
    if !is_known && (group.is_some() || topic.is_some()) {
        let detail =
            "no group of this name reads a topic of this name: GET /losses lists the losses";
        return Err(Problem::not_found(detail));
    }
    let acknowledged = monitor.state.acknowledge(is_chosen);
    let losses = acknowledged.losses.iter();
    let topics = acknowledged.missing_topics.iter();
    Ok(Json(AcknowledgedAnswer {
        acknowledged: losses
            .map(|(group, loss)| LossAnswer::of(group, loss))
            .collect(),
        missing_topics: topics
            .map(|pair| MissingTopicAnswer {
                group_id: display_name(&pair.group),
                topic: display_name(&pair.topic),
            })
            .collect(),
    }))
}

/// Every loss that nobody has acknowledged.
pub(super) fn losses(current: CurrentState<'_>) -> impl Iterator<Item = LossAnswer> {
    let losses = current.losses();
    losses.map(|(group, loss)| LossAnswer::of(group, &loss))
}

impl LossAnswer {
    fn of(group: &str, loss: &RecordLoss) -> Self {
        Self {
            group_id: display_name(group),
            topic: display_name(&loss.partition.topic),
            partition: loss.partition.partition,
            first_offset: loss.first_offset,
            last_offset: loss.last_offset,
            records: loss.records.exact(),
            records_at_least: loss.records.lower(),
            records_at_most: loss.records.upper(),
            certain: loss.is_certain,
            present: loss.is_present,
            found_at: rfc3339(loss.found_at),
        }
    }
}
