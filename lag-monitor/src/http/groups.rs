//! `GET /groups`: every group of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use cluster_reader::{Group, GroupMember, Protocol};
use serde::Serialize;
use service_kit::Problem;
use service_kit::parameters::Parameters;

use super::Monitor;
use super::selection::limit;
use crate::text::{shown, time};
use crate::watch::View;

/// Groups in an answer unless asked otherwise: as many as there can be in one.
const GROUPS: usize = 1_000;

/// Members of one group in an answer.
const MEMBERS: usize = 100;

#[derive(Serialize)]
pub(super) struct GroupsAnswer {
    groups: Vec<GroupAnswer>,
    /// Of all groups, also those that the answer leaves out.
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
    topics: BTreeSet<String>,
    total_lag: Option<i64>,
    status: &'static str,
    rule: &'static str,
    evidence: String,
    rate_of_change: Option<f64>,
    consumed_per_second: Option<f64>,
    produced_per_second: Option<f64>,
    time_to_drain_seconds: Option<f64>,
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
    mut parameters: Parameters,
) -> Result<Json<GroupsAnswer>, Problem> {
    let limit = limit(&mut parameters, GROUPS);
    parameters.finish()?;
    monitor.look(|view| {
        let groups = view.snapshot.groups.iter().take(limit);
        Ok(Json(GroupsAnswer {
            groups: groups
                .filter_map(|(name, group)| answer(view, name, group))
                .collect(),
            count: view.snapshot.groups.len(),
            timestamp: time(view.snapshot.taken_at),
        }))
    })
}

/// A group as a whole.
pub(super) fn answer(view: View<'_>, name: &str, group: &Group) -> Option<GroupAnswer> {
    let judgement = view.judge(name, None)?;
    let rates = judgement.rates;
    Some(GroupAnswer {
        group_id: shown(name),
        state: shown(&group.state),
        protocol: match group.protocol {
            Protocol::Classic => "classic",
            Protocol::Consumer => "consumer",
        },
        member_count: group.members.len(),
        members: group.members.iter().take(MEMBERS).map(member).collect(),
        topics: group.partitions.keys().map(|at| at.topic.clone()).collect(),
        total_lag: judgement.total_lag,
        status: judgement.status().name(),
        rule: judgement.rule().name(),
        evidence: judgement.evidence().to_owned(),
        rate_of_change: rates.map(|rates| rates.lag),
        consumed_per_second: rates.map(|rates| rates.consumed),
        produced_per_second: rates.map(|rates| rates.produced),
        time_to_drain_seconds: judgement.time_to_drain.map(|time| time.as_secs_f64()),
    })
}

fn member(member: &GroupMember) -> MemberAnswer {
    let mut owns: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for at in &member.owns {
        owns.entry(at.topic.clone()).or_default().push(at.partition);
    }
    MemberAnswer {
        client_id: shown(&member.owner.client_id),
        member_id: shown(&member.owner.member_id),
        instance_id: member.instance_id.as_deref().map(shown),
        host: shown(&member.owner.host),
        owns,
    }
}
