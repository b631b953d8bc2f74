//! Replay of dead letters: each is published again to the topic that it came from, for the group
//! that sent it.
//!
//! The promise: each dead letter is replayed once, however often a replay is started, interrupted,
//! or started twice at the same time. It rests on two facts:
//!
//! * The replayed records and the position after their dead letters are committed in *one* Kafka
//!   transaction. An interrupted replay has therefore done all of a batch or nothing of it, and the
//!   next replay begins after what was committed.
//! * All replays of a dead-letter topic have the same transactional id. A second replay therefore
//!   fences the first, which can then commit nothing. The second replay reads the position only
//!   after that, so no other replay can move it any more.
//!
//! One record that the broker does not accept would fail the transaction of all others. Therefore
//! what a topic cannot take is refused before anything is sent, and a batch that the broker refuses
//! all the same is halved until the record is alone. A refused dead letter is reported, and the
//! others are replayed. It still waits: the next replay tries it again, unless a person
//! [discards](crate::discard) it.

use std::collections::VecDeque;

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use shared_events::Topic;

use crate::cluster::Cluster;
use crate::cluster_error::ClusterError;
use crate::dead_letter_outcomes::Outcome;
use crate::dead_letters::{
    self, DeadLetter, DeadLetterState, ReplayDecision, ReplayPosition, is_before,
};
use crate::replay_decision::ReplayTargets;
pub use crate::replay_producer::ReplayError;
use crate::replay_producer::{ReplayProducer, Sent};
use crate::replayed_record::ReplayedRecord;

/// Dead letters in one transaction. The transaction must end well within its time-out of 5 s.
const BATCH: usize = 200;

/// The size of a transaction without its last record, bytes, for the same reason.
const BATCH_BYTES: usize = 8 << 20;

/// A replay that has fenced every earlier one and has read the dead letters to process.
pub struct Replay {
    cluster: Cluster,
    producer: ReplayProducer,
    /// Where the replay begins. Waiting dead letters before it were refused by an earlier replay.
    position: ReplayPosition,
    dead_letters: Vec<DeadLetter>,
    /// Partition and offset of the outcome records that were committed.
    outcomes: Vec<(i32, i64)>,
}

impl Replay {
    /// Begins a replay. From now on no earlier replay of the topic can publish anything.
    ///
    /// # Errors
    /// Also if the topic is not a dead-letter topic.
    pub async fn begin(cluster: &Cluster, topic: Topic) -> Result<Self, ReplayError> {
        dead_letters::check_dead_letter_topic(topic)?;
        let targets = ReplayTargets::read(cluster).await?;
        let producer = ReplayProducer::begin(cluster, topic, targets.batch_bytes()).await?;
        // Only after the fence: an earlier replay may have moved the position until then.
        let position = producer.position().await?;
        let name = cluster.prefix().topic(topic);
        let dead_letters = dead_letters::waiting(cluster, &name, &position, &targets).await?;
        Ok(Self {
            cluster: cluster.clone(),
            producer,
            position,
            dead_letters,
            outcomes: Vec::new(),
        })
    }

    /// The dead letters to replay or to refuse.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }

    /// Processes all dead letters. Calls `done` with the dead letters of each transaction after its
    /// commit, with the decision that was carried out.
    pub async fn run(mut self, mut done: impl FnMut(&[DeadLetter])) -> Result<(), ReplayError> {
        let mut batches = batches(std::mem::take(&mut self.dead_letters));
        let mut sequence_gap = false;
        while let Some(mut batch) = batches.pop_front() {
            let Err(error) = self.process(&batch).await else {
                done(&batch);
                continue;
            };
            let refused = is_refused_record(&error);
            // A refused record leaves a gap in the sequence numbers of its partition. The next
            // transaction there fails, and its abort begins a new epoch without gaps.
            let after_gap = is_sequence_gap(&error) && std::mem::take(&mut sequence_gap);
            if !refused && !after_gap {
                return Err(self.producer.give_up(error).await);
            }
            let aborted = self.producer.abort().await;
            aborted.map_err(|error| self.producer.explain(error))?;
            sequence_gap |= refused;
            if after_gap || self.decide_again(&mut batch).await? {
                batches.push_front(batch);
                continue;
            }
            let Some(parts) = isolate(batch, &error.to_string()) else {
                return Err(self.producer.explain(error));
            };
            for part in parts.into_iter().rev() {
                batches.push_front(part);
            }
        }
        self.producer.skip_outcomes(&self.outcomes).await
    }

    /// Publishes a batch and commits the position after it, in one transaction.
    async fn process(&mut self, batch: &[DeadLetter]) -> KafkaResult<()> {
        let next = next_position(&self.position, batch);
        if next.is_empty() && batch.iter().all(|one| one.refusal().is_some()) {
            return Ok(());
        }
        self.producer.begin_transaction()?;
        let mut sent = Sent::default();
        for dead_letter in batch {
            self.send(&mut sent, dead_letter)?;
        }
        let outcomes = self.producer.commit(sent, &next).await?;
        self.outcomes.extend(outcomes);
        Ok(())
    }

    fn send(&self, sent: &mut Sent, dead_letter: &DeadLetter) -> KafkaResult<()> {
        let DeadLetterState::Waiting(decision) = &dead_letter.state else {
            return Ok(());
        };
        let record = &dead_letter.record;
        let refused_before = is_before(&dead_letter.record, &self.position);
        match decision {
            ReplayDecision::Replay {
                topic,
                group,
                previous_replays,
            } => {
                let replayed = ReplayedRecord::new(record, topic, group, *previous_replays);
                self.producer.send(sent, replayed.to_send())?;
                if refused_before {
                    let outcome = Outcome::Replayed;
                    self.producer.send_outcome(sent, record, outcome, None)?;
                }
            }
            ReplayDecision::Refuse(reason) => {
                if !refused_before {
                    let outcome = Outcome::Refused;
                    self.producer
                        .send_outcome(sent, record, outcome, Some(reason))?;
                }
            }
        }
        Ok(())
    }

    /// Decides again by the topics as they are now. Returns whether a dead letter is refused that
    /// was not.
    async fn decide_again(&self, batch: &mut [DeadLetter]) -> Result<bool, ClusterError> {
        let targets = ReplayTargets::read(&self.cluster).await?;
        let mut changed = false;
        for one in batch.iter_mut().filter(|one| is_replayed(one)) {
            let decision = targets.decide(&one.record, &one.headers);
            changed |= matches!(decision, ReplayDecision::Refuse(_));
            one.state = DeadLetterState::Waiting(decision);
        }
        Ok(changed)
    }
}

fn is_replayed(dead_letter: &DeadLetter) -> bool {
    let state = &dead_letter.state;
    matches!(
        state,
        DeadLetterState::Waiting(ReplayDecision::Replay { .. })
    )
}

/// Transactions of bounded length, in the order of the dead letters.
fn batches(dead_letters: Vec<DeadLetter>) -> VecDeque<Vec<DeadLetter>> {
    let mut batches: VecDeque<Vec<DeadLetter>> = VecDeque::new();
    let mut bytes = 0;
    for dead_letter in dead_letters {
        let record = &dead_letter.record;
        let size = record
            .header_pairs()
            .map(|(_, value)| value.map_or(0, <[u8]>::len));
        let size: usize = size
            .chain([&record.key, &record.value].map(|part| part.as_ref().map_or(0, Vec::len)))
            .sum();
        match batches.back_mut() {
            Some(batch) if batch.len() < BATCH && bytes < BATCH_BYTES => batch.push(dead_letter),
            _ => {
                bytes = 0;
                batches.push_back(vec![dead_letter]);
            }
        }
        bytes += size;
    }
    batches
}

/// Takes a batch of which a record was refused apart: halves it, or refuses the only record that was
/// sent. `None` if none was sent.
fn isolate(mut batch: Vec<DeadLetter>, reason: &str) -> Option<Vec<Vec<DeadLetter>>> {
    let replayed = batch.iter().enumerate().filter(|(_, one)| is_replayed(one));
    let replayed: Vec<usize> = replayed.map(|(index, _)| index).collect();
    let middle = *replayed.get(replayed.len() / 2)?;
    if replayed.len() == 1 {
        let reason = format!("the broker refuses the record: {reason}");
        let refused = DeadLetterState::Waiting(ReplayDecision::Refuse(reason));
        batch.get_mut(middle)?.state = refused;
        return Some(vec![batch]);
    }
    let rest = batch.split_off(middle);
    Some(vec![batch, rest])
}

/// Whether a record of the transaction is the reason, and the same transaction would fail again.
fn is_refused_record(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::MessageSizeTooLarge
                | Code::MessageBatchTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidMessage
                | Code::InvalidRecord
                | Code::InvalidDifferentRecord
                | Code::InvalidTimestamp
                | Code::UnsupportedForMessageFormat
                | Code::PolicyViolation
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicOrPartition
                | Code::InvalidTopic
                | Code::TopicAuthorizationFailed
        )
    )
}

/// Whether the transaction failed because of an earlier refused record. The client reports some
/// records of such a transaction as dropped.
fn is_sequence_gap(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::OutOfOrderSequenceNumber | Code::PurgeQueue | Code::PurgeInflight)
    )
}

/// For each partition of the batch, the offset after its last dead letter. The position does not
/// move back to dead letters that were refused before.
fn next_position(position: &ReplayPosition, batch: &[DeadLetter]) -> ReplayPosition {
    let new = batch.iter().filter(|one| !is_before(&one.record, position));
    let places = new.map(DeadLetter::place);
    places
        .map(|(partition, offset)| (partition, offset + 1))
        .collect()
}

#[cfg(test)]
mod tests;
