//! `GET /lag`, `/lag/history` and `/status`: one group on one topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cluster_reader::judge::Judgement;
use cluster_reader::{Owner, PartitionLag, Snapshot};
use serde::Serialize;
use service_kit::Problem;
use service_kit::parameters::Parameters;

use super::selection::{Asked, limit};
use super::{Monitor, ThresholdsAnswer};
use crate::text::{shown, time};
use crate::watch::{self, Alert, Pair};

/// Entries of the history unless asked otherwise.
const MOMENTS: usize = 20;

/// Alerts shown beside a status.
const RECENT: usize = 5;

#[derive(Serialize)]
pub(super) struct LagAnswer {
    topic: String,
    group_id: String,
    total_lag: Option<i64>,
    status: &'static str,
    rate_of_change: Option<f64>,
    partitions: BTreeMap<i32, Partition>,
    thresholds: ThresholdsAnswer,
    timestamp: String,
}

/// A group on a partition. Where nothing is known there is no number, but a reason.
#[derive(Default, Serialize)]
pub(super) struct Partition {
    lag: Option<i64>,
    at_least: bool,
    reason: Option<String>,
    committed_offset: Option<i64>,
    stable_offset: Option<i64>,
    end_offset: Option<i64>,
    control_records: Option<i64>,
    aborted_records: Option<i64>,
    beyond_stable: Option<i64>,
    lost: Option<i64>,
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
    mut parameters: Parameters,
) -> Result<Json<LagAnswer>, Problem> {
    let asked = Asked::take(&mut parameters);
    parameters.finish()?;
    monitor.look(|view| {
        let pair = asked.find(&monitor, view.snapshot)?;
        let judgement = view
            .judge(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        let now = view.snapshot.taken_at;
        Ok(Json(LagAnswer {
            partitions: partitions(view.snapshot, &pair),
            topic: pair.topic,
            group_id: pair.group,
            total_lag: judgement.total_lag,
            status: judgement.status().name(),
            rate_of_change: judgement.rates.map(|rates| rates.lag),
            thresholds: monitor.thresholds(),
            timestamp: time(now),
        }))
    })
}

/// Every partition of the pair, by number.
pub(super) fn partitions(snapshot: &Snapshot, pair: &Pair) -> BTreeMap<i32, Partition> {
    watch::partitions(snapshot, pair)
        .map(|(at, found)| (at.partition, partition(found, snapshot.taken_at)))
        .collect()
}

fn partition(found: &PartitionLag, now: chrono::DateTime<chrono::Utc>) -> Partition {
    let known = Partition {
        committed_offset: found.committed,
        stable_offset: found.ends.map(|ends| ends.stable),
        end_offset: found.ends.map(|ends| ends.high),
        owner: found.owner.as_ref().map(OwnerAnswer::of),
        ..Partition::default()
    };
    match found.lag {
        Err(reason) => Partition {
            reason: Some(reason.to_string()),
            ..known
        },
        Ok(lag) => Partition {
            lag: Some(lag.readable),
            at_least: lag.at_least,
            control_records: Some(lag.control_records),
            aborted_records: Some(lag.aborted_records),
            beyond_stable: Some(lag.beyond_stable),
            lost: Some(lag.lost),
            oldest_unread_seconds: lag
                .oldest_unread
                .map(|oldest| (now - oldest).as_seconds_f64().max(0.0)),
            ..known
        },
    }
}

impl OwnerAnswer {
    fn of(owner: &Owner) -> Self {
        Self {
            client_id: shown(&owner.client_id),
            member_id: shown(&owner.member_id),
            host: shown(&owner.host),
        }
    }
}

#[derive(Serialize)]
pub(super) struct HistoryAnswer {
    topic: String,
    group_id: String,
    history: Vec<MomentAnswer>,
    count: usize,
}

#[derive(Serialize)]
struct MomentAnswer {
    timestamp: String,
    total_lag: Option<i64>,
    status: &'static str,
}

pub(super) async fn history(
    State(monitor): State<Monitor>,
    mut parameters: Parameters,
) -> Result<Json<HistoryAnswer>, Problem> {
    let asked = Asked::take(&mut parameters);
    let limit = limit(&mut parameters, MOMENTS);
    parameters.finish()?;
    let pair = monitor.look(|view| asked.find(&monitor, view.snapshot))?;
    let moments = monitor.watch.past(&pair, limit).into_iter();
    let history: Vec<MomentAnswer> = moments
        .map(|moment| MomentAnswer {
            timestamp: time(moment.timestamp),
            total_lag: moment.total_lag,
            status: moment.status.name(),
        })
        .collect();
    Ok(Json(HistoryAnswer {
        topic: pair.topic,
        group_id: pair.group,
        count: history.len(),
        history,
    }))
}

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
    mut parameters: Parameters,
) -> Result<Json<StatusAnswer>, Problem> {
    let asked = Asked::take(&mut parameters);
    parameters.finish()?;
    let (pair, judgement, at): (Pair, Judgement, _) = monitor.look(|view| {
        let pair = asked.find(&monitor, view.snapshot)?;
        let judgement = view
            .judge(&pair.group, Some(&pair.topic))
            .ok_or_else(Problem::internal)?;
        Ok((pair, judgement, view.snapshot.taken_at))
    })?;
    Ok(Json(StatusAnswer {
        recent_alerts: monitor.watch.alerts(Some(&pair), RECENT),
        topic: pair.topic,
        group_id: pair.group,
        total_lag: judgement.total_lag,
        status: judgement.status().name(),
        rule: judgement.rule().name(),
        evidence: judgement.evidence().to_owned(),
        last_poll: time(at),
        thresholds: monitor.thresholds(),
    }))
}
