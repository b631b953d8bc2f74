//! The records of a dead-letter topic, and what a replay does with each.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_runtime::dead_letter;
pub use kafka_runtime::dead_letter::{DeadLetterHeaders, MAX_REPLAYS, replay_count, replay_pairs};
use rdkafka::consumer::BaseConsumer;
use shared_events::{Service, Topic};

use crate::clients;
use crate::cluster::{Cluster, blocking};
use crate::cluster_error::ClusterError;
use crate::offsets;
use crate::records::{Query, Record, Start};
use crate::replay::ReplayError;

/// A record of a dead-letter topic.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The record.
    pub record: Record,
    /// The dead-letter headers, or why they cannot be read.
    pub headers: Result<DeadLetterHeaders, String>,
    /// Whether a replay has already replayed or refused it.
    pub processed: bool,
    /// What a replay does with it.
    pub decision: ReplayDecision,
}

/// What a replay does with a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayDecision {
    /// Publishes the original record again.
    Replay {
        /// The topic that the record was consumed from, by its full name on the broker.
        topic: String,
        /// The group that sent the dead letter, by its full name on the broker. No other group
        /// handles the replayed record.
        group: String,
        /// How often the record was replayed before.
        previous_replays: u32,
    },
    /// Skips it, with the reason. It stays in the topic until its retention ends.
    Refuse(String),
}

/// All dead letters of a topic, by partition and offset. Changes nothing, so it is also the dry run
/// of a replay: a replay would process those that are not yet `processed`.
///
/// # Errors
/// Also if the topic is not a dead-letter topic.
pub async fn dead_letters(cluster: &Cluster, topic: Topic) -> Result<Vec<DeadLetter>, ReplayError> {
    check_dead_letter_topic(topic)?;
    let name = cluster.prefix().topic(topic);
    let group = cluster.prefix().replay_group(topic);
    let client = clients::committed_position(cluster.settings(), &group);
    let client = Arc::new(client.map_err(ClusterError::no_client)?);
    let position = replay_position(cluster, client, &name).await?;
    read(cluster, &name, Start::Beginning, &position).await
}

pub(crate) fn check_dead_letter_topic(topic: Topic) -> Result<(), ReplayError> {
    let known = Service::ALL
        .into_iter()
        .any(|service| service.dead_letter_topic() == topic);
    if known {
        Ok(())
    } else {
        Err(ReplayError::NotADeadLetterTopic(topic))
    }
}

/// For each partition, the offset of the next dead letter to process. Partitions without a commit
/// are left out.
pub(crate) async fn replay_position(
    cluster: &Cluster,
    client: Arc<BaseConsumer>,
    name: &str,
) -> Result<BTreeMap<i32, i64>, ReplayError> {
    let count = cluster.partitions(name).await?;
    let partitions: Vec<_> = (0..count).map(|p| (name.to_owned(), p)).collect();
    let offsets = blocking(move || offsets::committed_offsets(&client, &partitions)).await;
    let offsets =
        offsets.map_err(|error| ClusterError::failed("read the position of the replay", error))?;
    Ok(offsets
        .into_iter()
        .map(|((_, partition), offset)| (partition, offset))
        .collect())
}

/// The dead letters from `start`. `position` decides which of them are processed.
pub(crate) async fn read(
    cluster: &Cluster,
    name: &str,
    start: Start,
    position: &BTreeMap<i32, i64>,
) -> Result<Vec<DeadLetter>, ReplayError> {
    let query = Query {
        start,
        ..Query::default()
    };
    let records = cluster.read(name, &query).await?;
    let dead_letter = |record: Record| {
        let headers = DeadLetterHeaders::from_pairs(record.header_pairs());
        let headers = headers.map_err(|error| error.to_string());
        let next = position.get(&record.partition).copied().unwrap_or(0);
        DeadLetter {
            processed: record.offset < next,
            decision: decide(cluster, &record, &headers).unwrap_or_else(ReplayDecision::Refuse),
            record,
            headers,
        }
    };
    Ok(records.into_iter().map(dead_letter).collect())
}

/// Decides whether a record can be replayed; the error is the reason to refuse it.
fn decide(
    cluster: &Cluster,
    record: &Record,
    headers: &Result<DeadLetterHeaders, String>,
) -> Result<ReplayDecision, String> {
    if record.headers.is_none() {
        return Err("the name of one of its headers is not UTF-8".to_owned());
    }
    let headers = headers.as_ref();
    let headers = headers.map_err(|reason| format!("is no dead letter: {reason}"))?;
    let (topic, group) = (&headers.original_topic, &headers.consumer_group);
    if dead_letter::is_left_out(record.header_pairs()) {
        return Err(format!(
            "the record is too large for a dead letter, and exists only in {topic}[{}] at offset {}",
            headers.original_partition, headers.original_offset
        ));
    }
    let origin = cluster.prefix().topic_of(topic);
    let is_consumer = |service: Service| {
        cluster.prefix().group(service) == *group
            && origin.is_some_and(|topic| service.consumes().contains(&topic))
    };
    if !Service::ALL.into_iter().any(is_consumer) {
        return Err(format!("group {group} does not read topic {topic}"));
    }
    match replay_count(record.header_pairs()) {
        Err(error) => Err(error.to_string()),
        Ok(count) if count >= MAX_REPLAYS => {
            Err(format!("was replayed {count} times, which is the limit"))
        }
        Ok(previous_replays) => Ok(ReplayDecision::Replay {
            topic: topic.clone(),
            group: group.clone(),
            previous_replays,
        }),
    }
}
