//! What the stream tells after a poll: each pair of group and topic, and, where that was asked for, all that the page shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use cluster_reader::judge::Judgement;
use serde::Serialize;

use super::groups::{self, GroupAnswer};
use super::lag::{Partition, partitions};
use super::recommendations::about;
use super::{Monitor, ThresholdsAnswer};
use crate::recommend::Recommendation;
use crate::text::{shown, time};
use crate::watch::{self, Moment, Pair, View};

/// Partitions that one event tells of, all pairs together: about 400 KB. Those of the pairs that do worst come first.
const PARTITIONS: usize = 1_000;

/// Pairs that one event tells all of.
const PAIRS: usize = 100;

/// Polls before this one that are told at first: 25 minutes at one every five seconds.
const MOMENTS: usize = 300;

/// Every pair, in few words.
#[derive(Serialize)]
pub(super) struct StateEvent {
    timestamp: String,
    groups: Vec<Standing>,
}

#[derive(Serialize)]
struct Standing {
    group_id: String,
    topic: String,
    total_lag: Option<i64>,
    status: &'static str,
    rule: &'static str,
    evidence: String,
    rate_of_change: Option<f64>,
    time_to_drain_seconds: Option<f64>,
}

/// Every pair, and of as many as there is room for all that is known.
#[derive(Serialize)]
pub(super) struct DetailedState {
    timestamp: String,
    /// How old the figures were when this was told. The clock of who reads it may be another than ours.
    age_seconds: f64,
    poll_interval_seconds: u64,
    thresholds: ThresholdsAnswer,
    groups: Vec<DetailedStanding>,
    /// The groups of the pairs that are told with details, as in `/groups`.
    members: Vec<GroupAnswer>,
}

#[derive(Serialize)]
struct DetailedStanding {
    #[serde(flatten)]
    standing: Standing,
    /// As in `/lag`; none for want of room.
    partitions: Option<BTreeMap<i32, Partition>>,
    /// As in `/recommendations`; none for want of room.
    recommendations: Option<Vec<Recommendation>>,
}

#[derive(Serialize)]
pub(super) struct PastEvent {
    groups: Vec<PastOfPair>,
}

#[derive(Serialize)]
struct PastOfPair {
    group_id: String,
    topic: String,
    moments: Vec<PastMoment>,
}

#[derive(Serialize)]
struct PastMoment {
    timestamp: String,
    partitions: BTreeMap<i32, Option<i64>>,
}

impl StateEvent {
    pub(super) fn of(view: View<'_>) -> Self {
        let pairs = view.judged.iter();
        Self {
            timestamp: time(view.snapshot.taken_at),
            groups: pairs
                .map(|(pair, judgement)| Standing::of(pair, judgement))
                .collect(),
        }
    }
}

impl Standing {
    fn of(pair: &Pair, judgement: &Judgement) -> Self {
        Self {
            group_id: shown(&pair.group),
            topic: pair.topic.clone(),
            total_lag: judgement.total_lag,
            status: judgement.status().name(),
            rule: judgement.rule().name(),
            evidence: judgement.evidence().to_owned(),
            rate_of_change: judgement.rates.map(|rates| rates.lag),
            time_to_drain_seconds: judgement.time_to_drain.map(|time| time.as_secs_f64()),
        }
    }
}

impl DetailedState {
    pub(super) fn of(monitor: &Monitor, view: View<'_>, now: DateTime<Utc>) -> Self {
        let room = with_room(view);
        let pairs = view.judged.iter().map(|(pair, judgement)| {
            let has_room = room.contains(pair);
            DetailedStanding {
                standing: Standing::of(pair, judgement),
                partitions: has_room.then(|| partitions(view.snapshot, pair)),
                recommendations: has_room.then(|| about(monitor, view, pair, judgement)),
            }
        });
        let names: BTreeSet<&String> = room.iter().map(|pair| &pair.group).collect();
        let members = names.into_iter().filter_map(|name| {
            let group = view.snapshot.groups.get(name)?;
            groups::answer(view, name, group)
        });
        let taken_at = view.snapshot.taken_at;
        Self {
            timestamp: time(taken_at),
            age_seconds: (now - taken_at).as_seconds_f64().max(0.0),
            poll_interval_seconds: monitor.watch.rules().every.as_secs(),
            thresholds: monitor.thresholds(),
            groups: pairs.collect(),
            members: members.collect(),
        }
    }
}

/// How the partitions were at the polls before, of the pairs that there is room for; of none while nothing can be read.
pub(super) fn past(monitor: &Monitor) -> PastEvent {
    let pairs = monitor.watch.look(Utc::now(), |view| {
        with_room(view).into_iter().cloned().collect::<Vec<Pair>>()
    });
    let groups = pairs.unwrap_or_default().into_iter().map(|pair| {
        let moments = monitor.watch.past(&pair, MOMENTS).into_iter();
        PastOfPair {
            group_id: shown(&pair.group),
            moments: moments.map(PastMoment::of).collect(),
            topic: pair.topic,
        }
    });
    PastEvent {
        groups: groups.collect(),
    }
}

impl PastMoment {
    fn of(moment: Moment) -> Self {
        Self {
            timestamp: time(moment.timestamp),
            partitions: moment.partitions.into_iter().collect(),
        }
    }
}

/// The pairs that are told with details: the worst first, as long as there is room.
fn with_room(view: View<'_>) -> BTreeSet<&Pair> {
    let mut pairs: Vec<(&Pair, &Judgement)> = view.judged.iter().collect();
    pairs.sort_by_key(|(_, judgement)| Reverse(judgement.status()));
    let mut room = PARTITIONS;
    let mut told = BTreeSet::new();
    for (pair, _) in pairs.into_iter().take(PAIRS) {
        let size = watch::partitions(view.snapshot, pair).count();
        if let Some(rest) = room.checked_sub(size) {
            room = rest;
            told.insert(pair);
        }
    }
    told
}
