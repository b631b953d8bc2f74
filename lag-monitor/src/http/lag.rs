//! `GET /lag`: the lag of one group on each partition of one topic.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use cluster_reader::{Owner, PartitionLag, Snapshot};
use serde::Serialize;
use service_kit::Problem;
use service_kit::query_params::QueryParams;

use super::group_topic_query::GroupTopicQuery;
use super::{Monitor, ThresholdsAnswer};
use crate::format::{display_name, rfc3339};
use crate::lag_fields::{LagFields, TotalLagFields};
use crate::lag_state::{self, GroupTopic};

#[derive(Serialize)]
pub(super) struct LagAnswer {
    topic: String,
    group_id: String,
    #[serde(flatten)]
    total: TotalLagFields,
    status: &'static str,
    rate_of_change: Option<f64>,
    partitions: BTreeMap<i32, PartitionAnswer>,
    thresholds: ThresholdsAnswer,
    timestamp: String,
}

/// A group on one partition. If the lag is unknown, the fields that depend on it are null and
/// `reason` says why.
#[derive(Default, Serialize)]
pub(super) struct PartitionAnswer {
    #[serde(flatten)]
    lag: LagFields,
    reason: Option<String>,
    committed_offset: Option<i64>,
    stable_offset: Option<i64>,
    end_offset: Option<i64>,
    /// A lower bound unless `lag` is exact. So are the next two.
    control_records: Option<i64>,
    aborted_records: Option<i64>,
    compacted: Option<i64>,
    beyond_stable: Option<i64>,
    /// Records that were deleted before the group read them: null unless the number is exact.
    lost: Option<i64>,
    lost_at_least: Option<i64>,
    lost_at_most: Option<i64>,
    oldest_unread_seconds: Option<f64>,
    owner: Option<OwnerAnswer>,
}

#[derive(Serialize)]
struct OwnerAnswer {
    client_id: String,
    member_id: String,
    host: String,
}

pub(super) async fn lag(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<LagAnswer>, Problem> {
    let query = GroupTopicQuery::take(&mut parameters);
    parameters.finish()?;
    monitor.read_current(|current| {
        let pair = query.find(&monitor, current.snapshot)?;
        let health = current
            .group_health(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        Ok(Json(LagAnswer {
            partitions: partition_answers(current.snapshot, &pair),
            topic: pair.topic,
            group_id: pair.group,
            total: health.total_lag.into(),
            status: health.status().name(),
            rate_of_change: health.rates.map(|rates| rates.lag),
            thresholds: monitor.thresholds(),
            timestamp: rfc3339(current.snapshot.taken_at),
        }))
    })
}

/// Every partition of the pair, by number.
pub(super) fn partition_answers(
    snapshot: &Snapshot,
    pair: &GroupTopic,
) -> BTreeMap<i32, PartitionAnswer> {
    lag_state::partitions(snapshot, pair)
        .map(|(at, lag)| (at.partition, PartitionAnswer::of(lag, snapshot.taken_at)))
        .collect()
}

impl PartitionAnswer {
    fn of(partition: &PartitionLag, taken_at: DateTime<Utc>) -> Self {
        let without_lag = Self {
            committed_offset: partition.committed,
            stable_offset: partition.log_offsets.map(|log| log.last_stable),
            end_offset: partition.log_offsets.map(|log| log.high_watermark),
            owner: partition.owner.as_ref().map(OwnerAnswer::of),
            ..Self::default()
        };
        match partition.lag {
            Err(reason) => Self {
                reason: Some(reason.to_string()),
                ..without_lag
            },
            Ok(lag) => Self {
                lag: Some(lag.readable).into(),
                control_records: Some(lag.control_records),
                aborted_records: Some(lag.aborted_records),
                compacted: Some(lag.compacted),
                beyond_stable: Some(lag.beyond_last_stable),
                lost: lag.lost.exact(),
                lost_at_least: Some(lag.lost.lower()),
                lost_at_most: Some(lag.lost.upper()),
                oldest_unread_seconds: lag
                    .oldest_unread
                    .map(|oldest| (taken_at - oldest).as_seconds_f64().max(0.0)),
                ..without_lag
            },
        }
    }
}

impl OwnerAnswer {
    fn of(owner: &Owner) -> Self {
        Self {
            client_id: display_name(&owner.client_id),
            member_id: display_name(&owner.member_id),
            host: display_name(&owner.host),
        }
    }
}
