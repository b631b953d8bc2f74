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
//! A refused dead letter (replayed too often, or not a dead letter) is skipped and reported. It
//! stays in the topic until its retention ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use kafka_runtime::dead_letter;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::Topic;
use tokio::time::{Instant, sleep};

use crate::clients;
use crate::cluster::{Cluster, TIMEOUT, blocking};
use crate::cluster_error::ClusterError;
use crate::dead_letters::{self, DeadLetter, ReplayDecision};
use crate::records::{Record, Start};

/// Dead letters in one transaction. The transaction must end well within its time-out of 5 s.
const BATCH: usize = 200;

/// Why a replay ended early. What it has committed stays replayed and is not replayed again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Another replay of the topic has started. It continues where this one was.
    #[error("another replay of {0} was started, which continues where this one was")]
    Fenced(String),
    /// The topic does not hold dead letters.
    #[error("{0} is no dead-letter topic: must be orders.dlq, payments.dlq or inventory.dlq")]
    NotADeadLetterTopic(Topic),
    /// An operation on the cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A replay that has fenced every earlier one and has read the dead letters to process.
pub struct Replay {
    topic: Topic,
    name: String,
    producer: FutureProducer,
    position: Arc<BaseConsumer>,
    dead_letters: Vec<DeadLetter>,
}

impl Replay {
    /// Begins a replay. From now on no earlier replay of the topic can publish anything.
    pub async fn begin(cluster: &Cluster, topic: Topic) -> Result<Self, ReplayError> {
        dead_letters::check_dead_letter_topic(topic)?;
        let name = cluster.prefix().topic(topic);
        let group = cluster.prefix().replay_group(topic);
        let producer = clients::transactional(cluster.settings(), &group);
        let producer = producer.map_err(ClusterError::no_client)?;
        let fencing = producer.clone();
        blocking(move || fencing.init_transactions(TIMEOUT))
            .await
            .map_err(|error| ClusterError::failed("begin a replay", error))?;
        // Only after the fence: an earlier replay may have moved the position until then.
        let position = clients::committed_position(cluster.settings(), &group);
        let position = Arc::new(position.map_err(ClusterError::no_client)?);
        let next = dead_letters::replay_position(cluster, Arc::clone(&position), &name).await?;
        let start = Start::Offsets(next.clone());
        let dead_letters = dead_letters::read(cluster, &name, start, &next).await?;
        Ok(Self {
            topic,
            name,
            producer,
            position,
            dead_letters,
        })
    }

    /// The dead letters to replay or to refuse.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }

    /// Processes all dead letters. Calls `done` with the dead letters of each transaction after its
    /// commit.
    pub async fn run(self, mut done: impl FnMut(&[DeadLetter])) -> Result<(), ReplayError> {
        for batch in self.dead_letters.chunks(BATCH) {
            if let Err(error) = self.replay(batch).await {
                let error = self.explain(error);
                self.abort().await;
                return Err(error);
            }
            done(batch);
        }
        Ok(())
    }

    /// Publishes a batch and commits the position after it, in one transaction.
    async fn replay(&self, batch: &[DeadLetter]) -> KafkaResult<()> {
        self.producer.begin_transaction()?;
        let mut sent = Vec::new();
        for dead_letter in batch {
            if let ReplayDecision::Replay {
                topic,
                group,
                previous_replays,
            } = &dead_letter.decision
            {
                let record = replayed_record(&dead_letter.record, topic, group, *previous_replays);
                let delivery = self.producer.send_result(record);
                sent.push(delivery.map_err(|(error, _)| error)?);
            }
        }
        let delivered = try_join_all(sent).await.map_err(|_| KafkaError::Canceled)?;
        for outcome in delivered {
            outcome.map_err(|(error, _)| error)?;
        }
        self.wait_until_none_in_flight().await?;
        let (producer, position) = (self.producer.clone(), Arc::clone(&self.position));
        let next = next_offsets(&self.name, batch)?;
        blocking(move || {
            let group = position.group_metadata().ok_or(KafkaError::Canceled)?;
            producer.send_offsets_to_transaction(&next, &group, TIMEOUT)?;
            producer.commit_transaction(TIMEOUT)
        })
        .await
    }

    /// librdkafka counts a message as in flight for a moment after its delivery, and a commit in
    /// that moment would take 100 ms.
    async fn wait_until_none_in_flight(&self) -> KafkaResult<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            sleep(Duration::from_micros(100)).await;
        }
        Ok(())
    }

    /// Aborts the transaction. If that fails, as it must after a fence, the broker aborts it after
    /// 5 s or when the next replay begins. If the transaction was committed and only the answer was
    /// lost, the next replay finds the committed position.
    async fn abort(&self) {
        let producer = self.producer.clone();
        if let Err(error) = blocking(move || producer.abort_transaction(TIMEOUT)).await {
            tracing::debug!(%error, "abort of a failed replay is left to the broker");
        }
    }

    fn explain(&self, error: KafkaError) -> ReplayError {
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        match fatal.or(error.rdkafka_error_code()) {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::ProducerFenced,
            ) => ReplayError::Fenced(self.topic.name().to_owned()),
            _ => ClusterError::failed(format!("replay {}", self.name), error).into(),
        }
    }
}

/// The original record, with headers that count the replay and name the group that handles it.
fn replayed_record<'a>(
    record: &'a Record,
    topic: &'a str,
    group: &str,
    previous_replays: u32,
) -> FutureRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new();
    let original = record.header_pairs();
    for (key, value) in original.filter(|(name, _)| !dead_letter::is_dead_letter_header(name)) {
        headers = headers.insert(Header { key, value });
    }
    for (key, value) in dead_letter::replay_pairs(previous_replays, group) {
        let value = Some(value.as_bytes());
        headers = headers.insert(Header { key, value });
    }
    let mut future = FutureRecord::to(topic).headers(headers);
    if let Some(key) = &record.key {
        future = future.key(key.as_slice());
    }
    if let Some(value) = &record.value {
        future = future.payload(value.as_slice());
    }
    future
}

/// For each partition of the batch, the offset after its last dead letter.
fn next_offsets(name: &str, batch: &[DeadLetter]) -> KafkaResult<TopicPartitionList> {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for dead_letter in batch {
        next.insert(dead_letter.record.partition, dead_letter.record.offset + 1);
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(name, partition, Offset::Offset(offset))?;
    }
    Ok(list)
}
