//! The records of a dead-letter topic: which of them wait, and what a replay does with each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_runtime::dead_letter::is_left_out;
pub use kafka_runtime::dead_letter::{DeadLetterHeaders, MAX_REPLAYS, replay_count, replay_pairs};
use shared_events::{NamePrefix, Service, Topic};

use crate::clients::{self, BaseConsumer};
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
use crate::dead_letter_outcomes::{Outcome, OutcomeRecord, Outcomes, split_outcomes};
use crate::offsets;
use crate::records::{MissingOffsets, Query, Record};
pub use crate::replay_decision::ReplayDecision;
use crate::replay_decision::{ReplayTargets, decide_by_content};

/// For each partition, the offset after the last dead letter that a replay has processed. Partitions
/// without a commit are left out.
pub(crate) type ReplayPosition = BTreeMap<i32, i64>;

/// A record of a dead-letter topic.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record.
    pub record: Record,
    /// The dead-letter headers, or why they cannot be read.
    pub headers: Result<DeadLetterHeaders, String>,
    /// What was done with it, or what the next replay does with it.
    pub state: DeadLetterState,
}

/// What was done with a dead letter, or what the next replay does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterState {
    /// It was neither replayed nor discarded. The next replay does this.
    Waiting(ReplayDecision),
    /// A replay has published it.
    Replayed,
    /// A person has discarded it: no replay publishes it.
    Discarded {
        /// The reason that the person gave.
        reason: Option<String>,
        /// When, milliseconds since 1970.
        at_ms: Option<i64>,
    },
}

impl DeadLetter {
    /// Whether it was neither replayed nor discarded.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, DeadLetterState::Waiting(_))
    }

    /// Why the next replay refuses it; `None` if it does not.
    pub fn refusal(&self) -> Option<&str> {
        match &self.state {
            DeadLetterState::Waiting(ReplayDecision::Refuse(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Whether key and value of the record were left out, because it was too large.
    pub fn is_left_out(&self) -> bool {
        is_left_out(self.record.header_pairs())
    }

    pub(crate) fn place(&self) -> (i32, i64) {
        (self.record.partition, self.record.offset)
    }
}

/// All dead letters of a topic, by partition and offset. Changes nothing, so it is also the dry run
/// of a replay: a replay would process those that are waiting.
///
/// # Errors
/// Also if the topic is not a dead-letter topic.
pub async fn dead_letters(
    cluster: &Cluster,
    topic: Topic,
) -> Result<Vec<DeadLetter>, ClusterError> {
    let position = committed_position(cluster, topic).await?;
    let targets = ReplayTargets::read(cluster).await?;
    let name = cluster.prefix().topic(topic);
    let records = cluster.read(&name, &Query::default()).await?;
    let (records, outcomes) = split_outcomes(records);
    let records = records.into_iter();
    Ok(records
        .map(|record| with_state(record, &outcomes, &position, &targets))
        .collect())
}

/// Passes all dead letters of a topic, in the order of arrival, and keeps none. Returns which were
/// deleted before. Otherwise as [`dead_letters`].
pub async fn each_dead_letter(
    cluster: &Cluster,
    topic: Topic,
    mut on_dead_letter: impl FnMut(DeadLetter) + Send + 'static,
) -> Result<Vec<MissingOffsets>, ClusterError> {
    let position = committed_position(cluster, topic).await?;
    let targets = ReplayTargets::read(cluster).await?;
    let name = [cluster.prefix().topic(topic)];
    let is_outcome = |record: Record| OutcomeRecord::read(&record).map(|_| record);
    let (outcomes, _) = cluster
        .read_picked(&name, &Query::default(), is_outcome)
        .await?;
    let (_, outcomes) = split_outcomes(in_order(outcomes));
    let on_record = move |record: Record| {
        if OutcomeRecord::read(&record).is_none() {
            on_dead_letter(with_state(record, &outcomes, &position, &targets));
        }
    };
    cluster.read_each(&name, &Query::default(), on_record).await
}

/// The offsets of a dead-letter topic that were deleted before a replay has processed them: dead
/// letters that no replay can publish any more.
///
/// # Errors
/// Also if the topic is not a dead-letter topic.
pub async fn deleted_before_replay(
    cluster: &Cluster,
    topic: Topic,
) -> Result<Vec<MissingOffsets>, ClusterError> {
    let position = committed_position(cluster, topic).await?;
    let name = cluster.prefix().topic(topic);
    let log_starts = cluster.log_starts(&name).await?;
    let missing = log_starts.into_iter().filter_map(|(partition, log_start)| {
        let from = position.get(&partition).copied().unwrap_or(0);
        (from < log_start).then(|| MissingOffsets {
            topic: name.clone(),
            partition,
            from: Some(from),
            log_start,
        })
    });
    Ok(missing.collect())
}

/// The position of a topic's replays, without a replay.
async fn committed_position(
    cluster: &Cluster,
    topic: Topic,
) -> Result<ReplayPosition, ClusterError> {
    check_dead_letter_topic(topic)?;
    let group = cluster.prefix().replay_group(topic);
    let client = clients::committed_position(cluster.settings(), &group);
    let client = Arc::new(client.map_err(ClusterError::no_client)?);
    replay_position(cluster, client, &cluster.prefix().topic(topic)).await
}

pub(crate) fn check_dead_letter_topic(topic: Topic) -> Result<(), ClusterError> {
    let mut known = Service::ALL.into_iter().map(Service::dead_letter_topic);
    match known.any(|known| known == topic) {
        true => Ok(()),
        false => Err(ClusterError::Invalid(format!(
            "{topic} is no dead-letter topic: must be orders.dlq, payments.dlq or inventory.dlq"
        ))),
    }
}

/// The position of a topic's replays, asked by a client of their group.
pub(crate) async fn replay_position(
    cluster: &Cluster,
    client: Arc<BaseConsumer>,
    name: &str,
) -> Result<ReplayPosition, ClusterError> {
    let count = cluster.partitions(name).await?;
    let partitions: Vec<_> = (0..count).map(|p| (name.to_owned(), p)).collect();
    let offsets = blocking(move || offsets::committed_offsets(&client, &partitions)).await;
    let offsets =
        offsets.map_err(|error| cluster.error("read the position of the replay", error))?;
    Ok(offsets
        .into_iter()
        .map(|((_, partition), offset)| (partition, offset))
        .collect())
}

/// The waiting dead letters, by partition and offset. Those that were processed take no memory.
pub(crate) async fn waiting(
    cluster: &Cluster,
    name: &str,
    position: &ReplayPosition,
    targets: &ReplayTargets,
) -> Result<Vec<DeadLetter>, ClusterError> {
    let topic = [name.to_owned()];
    let (prefix, next) = (cluster.prefix().clone(), position.clone());
    let pick = move |record: Record| {
        let wanted = !is_before(&record, &next)
            || OutcomeRecord::read(&record).is_some()
            || never_replayable(&record, &prefix);
        wanted.then_some(record)
    };
    let (records, _) = cluster.read_picked(&topic, &Query::default(), pick).await?;
    let (mut records, outcomes) = split_outcomes(in_order(records));

    // Of the dead letters before the position, those that were refused.
    let present: BTreeSet<_> = records
        .iter()
        .map(|one| (one.partition, one.offset))
        .collect();
    let refused = outcomes
        .iter()
        .filter(|(_, one)| one.outcome == Outcome::Refused);
    let absent: BTreeSet<_> = refused
        .map(|(at, _)| *at)
        .filter(|at| !present.contains(at))
        .collect();
    if !absent.is_empty() {
        let is_absent = move |one: &Record| absent.contains(&(one.partition, one.offset));
        let pick = move |record| is_absent(&record).then_some(record);
        let (found, _) = cluster.read_picked(&topic, &Query::default(), pick).await?;
        records.extend(found);
    }
    let records = in_order(records).into_iter();
    let mut all: Vec<DeadLetter> = records
        .map(|record| with_state(record, &outcomes, position, targets))
        .collect();
    all.retain(DeadLetter::is_waiting);
    Ok(all)
}

/// The dead letter at this place, if it exists.
pub(crate) async fn find(
    cluster: &Cluster,
    name: &str,
    place: (i32, i64),
    position: &ReplayPosition,
    targets: &ReplayTargets,
) -> Result<Option<DeadLetter>, ClusterError> {
    let pick = move |record: Record| {
        let is_there = (record.partition, record.offset) == place;
        (is_there || OutcomeRecord::read(&record).is_some()).then_some(record)
    };
    let topic = [name.to_owned()];
    let (records, _) = cluster.read_picked(&topic, &Query::default(), pick).await?;
    let (mut records, outcomes) = split_outcomes(in_order(records));
    let found = records.pop();
    Ok(found.map(|record| with_state(record, &outcomes, position, targets)))
}

pub(crate) fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// Whether a replay has processed this record of a dead-letter topic.
pub(crate) fn is_before(record: &Record, position: &ReplayPosition) -> bool {
    let next = position.get(&record.partition);
    next.is_some_and(|next| record.offset < *next)
}

fn headers_of(record: &Record) -> Result<DeadLetterHeaders, String> {
    DeadLetterHeaders::from_pairs(record.header_pairs()).map_err(|error| error.to_string())
}

fn never_replayable(record: &Record, prefix: &NamePrefix) -> bool {
    let decision = decide_by_content(prefix, record, &headers_of(record));
    matches!(decision, ReplayDecision::Refuse(_))
}

fn with_state(
    record: Record,
    outcomes: &Outcomes,
    position: &ReplayPosition,
    targets: &ReplayTargets,
) -> DeadLetter {
    let headers = headers_of(&record);
    let waiting = || DeadLetterState::Waiting(targets.decide(&record, &headers));
    let outcome = outcomes.get(&(record.partition, record.offset));
    let state = match outcome.map(|one| (one.outcome, one)) {
        Some((Outcome::Refused, _)) => waiting(),
        Some((Outcome::Replayed, _)) => DeadLetterState::Replayed,
        Some((Outcome::Discarded, one)) => DeadLetterState::Discarded {
            reason: one.reason.clone(),
            at_ms: one.at_ms,
        },
        // A replay of an earlier release went on without a record of what it had refused.
        None if is_before(&record, position) && !never_replayable(&record, targets.prefix()) => {
            DeadLetterState::Replayed
        }
        None => waiting(),
    };
    DeadLetter {
        record,
        headers,
        state,
    }
}

#[cfg(test)]
mod tests;
