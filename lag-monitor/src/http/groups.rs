//! `GET /groups`: every group of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use cluster_reader::group_health::GroupHealth;
use cluster_reader::{Group, GroupMember, Protocol};
use serde::Serialize;
use service_kit::query_params::QueryParams;
use service_kit::{BoundedInt, Problem};

use super::Monitor;
use super::instance_answer::InstanceAnswer;
use crate::format::{display_name, rfc3339};
use crate::lag_fields::TotalLagFields;
use crate::lag_state::CurrentState;

const DEFAULT_LIMIT: usize = 1_000;

/// The value of `?limit=`.
type Limit = BoundedInt<1, 1_000>;

/// Most members listed for one group; `member_count` counts all.
const MAX_MEMBERS: usize = 100;

#[derive(Serialize)]
pub(super) struct GroupsAnswer {
    groups: Vec<GroupAnswer>,
    /// All groups of the cluster, including those beyond the limit.
    count: usize,
    timestamp: String,
}

#[derive(Serialize)]
pub(super) struct GroupAnswer {
    group_id: String,
    state: String,
    protocol: &'static str,
    member_count: usize,
    members: Vec<MemberAnswer>,
    /// What the instances of the service say about themselves; empty for a group of another system.
    instances: Vec<InstanceAnswer>,
    topics: BTreeSet<String>,
    #[serde(flatten)]
    lag: TotalLagFields,
    status: &'static str,
    rule: &'static str,
    evidence: String,
    rate_of_change: Option<f64>,
    consumed_per_second: Option<f64>,
    produced_per_second: Option<f64>,
    time_to_drain_seconds: Option<f64>,
    /// By topic and partition number; without the partitions whose rates are unknown.
    partition_rates: BTreeMap<String, BTreeMap<i32, PartitionRatesAnswer>>,
}

/// Records per second on one partition.
#[derive(Serialize)]
struct PartitionRatesAnswer {
    rate_of_change: f64,
    consumed_per_second: f64,
    produced_per_second: f64,
}

#[derive(Serialize)]
struct MemberAnswer {
    client_id: String,
    member_id: String,
    instance_id: Option<String>,
    host: String,
    owns: BTreeMap<String, Vec<i32>>,
}

pub(super) async fn list(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Json<GroupsAnswer>, Problem> {
    let limit: Option<Limit> = parameters.take("limit");
    parameters.finish()?;
    let limit = limit.map_or(DEFAULT_LIMIT, |limit| limit.0 as usize);
    monitor.read_current(|current| {
        let groups = current.snapshot.groups.iter().take(limit);
        Ok(Json(GroupsAnswer {
            groups: groups
                .filter_map(|(name, group)| GroupAnswer::of(current, name, group))
                .collect(),
            count: current.snapshot.groups.len(),
            timestamp: rfc3339(current.snapshot.taken_at),
        }))
    })
}

impl GroupAnswer {
    /// The group on all its topics.
    pub(super) fn of(current: CurrentState<'_>, name: &str, group: &Group) -> Option<Self> {
        let health = current.group_health(name, None)?;
        let rates = health.rates;
        Some(Self {
            group_id: display_name(name),
            state: display_name(&group.state),
            protocol: match group.protocol {
                Protocol::Classic => "classic",
                Protocol::Consumer => "consumer",
            },
            member_count: group.members.len(),
            members: group
                .members
                .iter()
                .take(MAX_MEMBERS)
                .map(MemberAnswer::of)
                .collect(),
            instances: current
                .instances(name)
                .iter()
                .map(InstanceAnswer::of)
                .collect(),
            topics: group.partitions.keys().map(|at| at.topic.clone()).collect(),
            lag: health.total_lag.into(),
            status: health.status().name(),
            rule: health.rule().name(),
            evidence: current.evidence(name, &health),
            rate_of_change: rates.map(|rates| rates.lag),
            consumed_per_second: rates.map(|rates| rates.consumed),
            produced_per_second: rates.map(|rates| rates.produced),
            time_to_drain_seconds: health.time_to_drain.map(|time| time.as_secs_f64()),
            partition_rates: partition_rates(&health),
        })
    }
}

fn partition_rates(health: &GroupHealth) -> BTreeMap<String, BTreeMap<i32, PartitionRatesAnswer>> {
    let mut topics = BTreeMap::<String, BTreeMap<i32, PartitionRatesAnswer>>::new();
    for (at, rates) in &health.partition_rates {
        let answer = PartitionRatesAnswer {
            rate_of_change: rates.lag,
            consumed_per_second: rates.consumed,
            produced_per_second: rates.produced,
        };
        let topic = topics.entry(at.topic.clone()).or_default();
        topic.insert(at.partition, answer);
    }
    topics
}

impl MemberAnswer {
    fn of(member: &GroupMember) -> Self {
        let mut owns: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for at in &member.assignment {
            owns.entry(at.topic.clone()).or_default().push(at.partition);
        }
        Self {
            client_id: display_name(&member.owner.client_id),
            member_id: display_name(&member.owner.member_id),
            instance_id: member.instance_id.as_deref().map(display_name),
            host: display_name(&member.owner.host),
            owns,
        }
    }
}
