//! The data of the events `state` and `past`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use cluster_reader::Snapshot;
use cluster_reader::group_health::GroupHealth;
use serde::Serialize;

use super::groups::GroupAnswer;
use super::lag::{PartitionAnswer, partition_answers};
use super::losses::{LossAnswer, losses};
use super::recommendations::recommendations;
use super::status::FindingAnswer;
use super::{Monitor, ThresholdsAnswer};
use crate::format::{display_name, rfc3339};
use crate::lag_fields::{LagFields, TotalLagFields};
use crate::lag_state::{self, CurrentState, GroupTopic, LagSample};
use crate::recommend::Recommendation;

/// Most partitions in one event, over all pairs: about 400 KB. The pairs with the worst status come
/// first.
const MAX_PARTITIONS: usize = 1_000;

/// Most pairs with details in one event.
const MAX_DETAILED_PAIRS: usize = 100;

/// Most losses in one event: about 60 KB.
const MAX_LOSSES: usize = 200;

/// Most under-replicated partitions in one event.
const MAX_UNDER_REPLICATED: usize = 20;

/// Samples of each pair in the event `past`: 25 minutes at a poll every five seconds.
const PAST_SAMPLES: usize = 300;

/// `state` without details.
#[derive(Serialize)]
pub(super) struct StateEvent {
    timestamp: String,
    groups: Vec<GroupTopicSummary>,
}

#[derive(Serialize)]
struct GroupTopicSummary {
    group_id: String,
    topic: String,
    #[serde(flatten)]
    lag: TotalLagFields,
    status: &'static str,
    rule: &'static str,
    evidence: String,
    rate_of_change: Option<f64>,
    time_to_drain_seconds: Option<f64>,
}

/// `state` with `?detail=true`: every pair, and the details of as many pairs as the limits allow.
#[derive(Serialize)]
pub(super) struct DetailedStateEvent {
    timestamp: String,
    /// Age of the snapshot when the event was sent. A client cannot compute it: its clock may
    /// differ.
    age_seconds: f64,
    poll_interval_seconds: u64,
    thresholds: ThresholdsAnswer,
    groups: Vec<GroupTopicDetail>,
    /// The groups of the pairs with details, as in `/groups`.
    members: Vec<GroupAnswer>,
    /// As in `/losses`, as many as the limit allows.
    losses: Vec<LossAnswer>,
    /// All losses, including those beyond the limit.
    loss_count: usize,
    /// Partitions with fewer replicas in sync than they have, as many as the limit allows.
    under_replicated: Vec<UnderReplicated>,
    /// All under-replicated partitions, including those beyond the limit.
    under_replicated_count: usize,
}

#[derive(Serialize)]
struct UnderReplicated {
    /// `orders[0]`.
    partition: String,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
}

#[derive(Serialize)]
struct GroupTopicDetail {
    #[serde(flatten)]
    summary: GroupTopicSummary,
    /// As in `/status`.
    findings: Vec<FindingAnswer>,
    /// As in `/lag`; `None` beyond the limits.
    partitions: Option<BTreeMap<i32, PartitionAnswer>>,
    /// As in `/recommendations`; `None` beyond the limits.
    recommendations: Option<Vec<Recommendation>>,
}

#[derive(Serialize)]
pub(super) struct PastEvent {
    groups: Vec<GroupTopicPast>,
}

#[derive(Serialize)]
struct GroupTopicPast {
    group_id: String,
    topic: String,
    #[serde(rename = "moments")]
    samples: Vec<PartitionLagSample>,
}

#[derive(Serialize)]
struct PartitionLagSample {
    timestamp: String,
    partitions: BTreeMap<i32, LagFields>,
}

impl StateEvent {
    pub(super) fn of(current: CurrentState<'_>) -> Self {
        let pairs = current.health.iter();
        Self {
            timestamp: rfc3339(current.snapshot.taken_at),
            groups: pairs
                .map(|(pair, health)| GroupTopicSummary::of(current, pair, health))
                .collect(),
        }
    }
}

impl GroupTopicSummary {
    fn of(current: CurrentState<'_>, pair: &GroupTopic, health: &GroupHealth) -> Self {
        Self {
            group_id: display_name(&pair.group),
            topic: pair.topic.clone(),
            lag: health.total_lag.into(),
            status: health.status().name(),
            rule: health.rule().name(),
            evidence: current.evidence(&pair.group, health),
            rate_of_change: health.rates.map(|rates| rates.lag),
            time_to_drain_seconds: health.time_to_drain.map(|time| time.as_secs_f64()),
        }
    }
}

impl DetailedStateEvent {
    pub(super) fn of(monitor: &Monitor, current: CurrentState<'_>, now: DateTime<Utc>) -> Self {
        let detailed = pairs_with_details(current);
        let pairs = current.health.iter().map(|(pair, health)| {
            let has_details = detailed.contains(pair);
            GroupTopicDetail {
                summary: GroupTopicSummary::of(current, pair, health),
                findings: FindingAnswer::all(health),
                partitions: has_details.then(|| partition_answers(current.snapshot, pair)),
                recommendations: has_details
                    .then(|| recommendations(monitor, current, pair, health)),
            }
        });
        let names: BTreeSet<&String> = detailed.iter().map(|pair| &pair.group).collect();
        let members = names.into_iter().filter_map(|name| {
            let group = current.snapshot.groups.get(name)?;
            GroupAnswer::of(current, name, group)
        });
        let taken_at = current.snapshot.taken_at;
        Self {
            timestamp: rfc3339(taken_at),
            age_seconds: (now - taken_at).as_seconds_f64().max(0.0),
            poll_interval_seconds: monitor.state.settings().poll_interval.as_secs(),
            thresholds: monitor.thresholds(),
            groups: pairs.collect(),
            members: members.collect(),
            losses: losses(current).take(MAX_LOSSES).collect(),
            loss_count: current.losses().count(),
            under_replicated: under_replicated(current.snapshot)
                .take(MAX_UNDER_REPLICATED)
                .collect(),
            under_replicated_count: under_replicated(current.snapshot).count(),
        }
    }
}

fn under_replicated(snapshot: &Snapshot) -> impl Iterator<Item = UnderReplicated> {
    let found = snapshot.replicas.iter();
    let found = found.filter(|(_, replicas)| replicas.is_under_replicated());
    found.map(|(at, replicas)| UnderReplicated {
        partition: format!("{}[{}]", display_name(&at.topic), at.partition),
        replicas: replicas.all.clone(),
        in_sync: replicas.in_sync.clone(),
    })
}

/// The lag at earlier polls of the pairs with details. Empty if there is no current data.
pub(super) fn past_event(monitor: &Monitor) -> PastEvent {
    let pairs = monitor.state.read_current(Utc::now(), |current| {
        let pairs = pairs_with_details(current).into_iter();
        pairs.cloned().collect::<Vec<GroupTopic>>()
    });
    let groups = pairs.unwrap_or_default().into_iter().map(|pair| {
        let samples = monitor.state.lag_history(&pair, PAST_SAMPLES).into_iter();
        GroupTopicPast {
            group_id: display_name(&pair.group),
            samples: samples.map(PartitionLagSample::of).collect(),
            topic: pair.topic,
        }
    });
    PastEvent {
        groups: groups.collect(),
    }
}

impl PartitionLagSample {
    fn of(sample: LagSample) -> Self {
        Self {
            timestamp: rfc3339(sample.timestamp),
            partitions: sample
                .partitions
                .into_iter()
                .map(|(number, lag)| (number, lag.into()))
                .collect(),
        }
    }
}

/// The pairs with the worst status, as many as the limits allow.
fn pairs_with_details(current: CurrentState<'_>) -> BTreeSet<&GroupTopic> {
    let mut worst_first: Vec<(&GroupTopic, &GroupHealth)> = current.health.iter().collect();
    worst_first.sort_by_key(|(_, health)| Reverse(health.status()));
    let mut free = MAX_PARTITIONS;
    let mut detailed = BTreeSet::new();
    for (pair, _) in worst_first.into_iter().take(MAX_DETAILED_PAIRS) {
        let partitions = lag_state::partitions(current.snapshot, pair).count();
        if let Some(rest) = free.checked_sub(partitions) {
            free = rest;
            detailed.insert(pair);
        }
    }
    detailed
}
