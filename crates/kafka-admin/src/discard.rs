//! Discards a dead letter on purpose: no replay publishes it any more.
//!
//! The dead letter stays in its topic until retention deletes it, with an outcome record that says
//! who decided why. `dlq list` shows both.

use shared_events::Topic;

use crate::cluster::Cluster;
use crate::cluster_error::ClusterError;
use crate::dead_letter_outcomes::Outcome;
use crate::dead_letters::{self, DeadLetter, DeadLetterState};
use crate::replay_decision::ReplayTargets;
use crate::replay_producer::{ReplayError, ReplayProducer, Sent};

/// Maximum length of the reason, characters.
pub const MAX_REASON_CHARS: usize = 500;

/// Discards a waiting dead letter, whether or not a replay would refuse it. Returns the dead letter
/// as it was before, once the outcome record is committed. From the start no earlier replay of the
/// topic can publish anything, so none publishes this dead letter afterwards.
///
/// # Errors
/// Also if the topic is not a dead-letter topic, if the reason is too long, if there is no such dead
/// letter, or if it was replayed or discarded already.
pub async fn discard(
    cluster: &Cluster,
    topic: Topic,
    partition: i32,
    offset: i64,
    reason: Option<&str>,
) -> Result<DeadLetter, ReplayError> {
    dead_letters::check_dead_letter_topic(topic)?;
    check_reason(reason)?;
    let targets = ReplayTargets::read(cluster).await?;
    let producer = ReplayProducer::begin(cluster, topic, targets.batch_bytes()).await?;
    let position = producer.position().await?;
    let (name, place) = (cluster.prefix().topic(topic), (partition, offset));
    let found = dead_letters::find(cluster, &name, place, &position, &targets).await?;
    let dead_letter = found.ok_or_else(|| not_there(topic, place))?;
    check_waiting(topic, &dead_letter)?;

    let written = async {
        producer.begin_transaction()?;
        let (mut sent, record) = (Sent::default(), &dead_letter.record);
        producer.send_outcome(&mut sent, record, Outcome::Discarded, reason)?;
        producer.commit(sent, &position).await
    };
    match written.await {
        Ok(written) => producer.skip_outcomes(&written).await?,
        Err(error) => return Err(producer.give_up(error).await),
    }
    Ok(dead_letter)
}

fn check_reason(reason: Option<&str>) -> Result<(), ClusterError> {
    let length = reason.map_or(0, |reason| reason.chars().count());
    match length > MAX_REASON_CHARS {
        true => Err(ClusterError::Invalid(format!(
            "the reason has {length} characters: must be at most {MAX_REASON_CHARS}"
        ))),
        false => Ok(()),
    }
}

fn not_there(topic: Topic, (partition, offset): (i32, i64)) -> ClusterError {
    ClusterError::NotFound(format!(
        "there is no dead letter {topic}/{partition}/{offset}"
    ))
}

/// Whether the dead letter can be discarded.
///
/// # Errors
/// It was replayed or discarded already, as the text says.
pub fn check_waiting(topic: Topic, dead_letter: &DeadLetter) -> Result<(), ClusterError> {
    let (partition, offset) = dead_letter.place();
    let id = format!("{topic}/{partition}/{offset}");
    match &dead_letter.state {
        DeadLetterState::Waiting(_) => Ok(()),
        DeadLetterState::Replayed => Err(ClusterError::Invalid(format!(
            "{id} was replayed, so there is nothing to discard"
        ))),
        DeadLetterState::Discarded { .. } => Err(ClusterError::Invalid(format!(
            "{id} is discarded already: ./sandbox dlq show {id}"
        ))),
    }
}
