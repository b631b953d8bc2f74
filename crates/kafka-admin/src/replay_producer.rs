//! The transactions of a dead-letter topic: replays and discards.
//!
//! All have the same transactional id, so each fences the one before, which can then commit nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::Topic;
use tokio::time::{Instant, sleep};

use crate::clients::{self, BaseConsumer, FutureProducer};
use crate::cluster::{Cluster, TIMEOUT, blocking};
use crate::cluster_error::ClusterError;
use crate::dead_letter_outcomes::{Outcome, OutcomeRecord, position_past_outcomes};
use crate::dead_letters::{self, ReplayPosition};
use crate::records::{Query, Record, Start};

/// How long the marker of a committed transaction may take to be written to its partitions.
const MARKER_WITHIN: Duration = Duration::from_secs(5);

/// Why a replay or a discard ended early. What a replay has committed stays replayed and is not
/// replayed again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A later replay or discard of the topic has started.
    #[error(
        "a later replay or discard of {0} was started, so this one can commit nothing more; a replay goes on where this one was"
    )]
    Fenced(String),
    /// An operation on the cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The producer and the committed position of a dead-letter topic.
pub(crate) struct ReplayProducer {
    cluster: Cluster,
    name: String,
    producer: FutureProducer,
    group: Arc<BaseConsumer>,
}

/// Records of an open transaction that the broker has not acknowledged yet.
#[derive(Default)]
pub(crate) struct Sent {
    replayed: Vec<DeliveryFuture>,
    outcomes: Vec<DeliveryFuture>,
}

impl ReplayProducer {
    /// Fences every earlier replay and discard of the topic. `batch_bytes` bounds a record batch of
    /// several records.
    pub(crate) async fn begin(
        cluster: &Cluster,
        topic: Topic,
        batch_bytes: usize,
    ) -> Result<Self, ReplayError> {
        let group = cluster.prefix().replay_group(topic);
        let producer = clients::transactional(cluster.settings(), &group, batch_bytes);
        let producer = producer.map_err(ClusterError::no_client)?;
        let fencing = producer.clone();
        blocking(move || fencing.init_transactions(TIMEOUT))
            .await
            .map_err(|error| cluster.error("begin a transaction", error))?;
        let position = clients::committed_position(cluster.settings(), &group);
        Ok(Self {
            cluster: cluster.clone(),
            name: cluster.prefix().topic(topic),
            producer,
            group: Arc::new(position.map_err(ClusterError::no_client)?),
        })
    }

    /// The committed position. No other replay moves it any more.
    pub(crate) async fn position(&self) -> Result<ReplayPosition, ClusterError> {
        let group = Arc::clone(&self.group);
        dead_letters::replay_position(&self.cluster, group, &self.name).await
    }

    pub(crate) fn begin_transaction(&self) -> KafkaResult<()> {
        self.producer.begin_transaction()
    }

    /// Sends a record in the open transaction.
    pub(crate) fn send(
        &self,
        sent: &mut Sent,
        record: FutureRecord<'_, [u8], [u8]>,
    ) -> KafkaResult<()> {
        let delivery = self.producer.send_result(record);
        sent.replayed.push(delivery.map_err(|(error, _)| error)?);
        Ok(())
    }

    /// Sends an outcome record in the open transaction, to the partition of the dead letter.
    pub(crate) fn send_outcome(
        &self,
        sent: &mut Sent,
        dead_letter: &Record,
        outcome: Outcome,
        reason: Option<&str>,
    ) -> KafkaResult<()> {
        let headers = OutcomeRecord::header_pairs(outcome, dead_letter.offset);
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                let value = Some(value.as_bytes());
                headers.insert(Header { key, value })
            });
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.name)
            .partition(dead_letter.partition)
            .headers(headers);
        record.payload = reason.map(str::as_bytes);
        let delivery = self.producer.send_result(record);
        sent.outcomes.push(delivery.map_err(|(error, _)| error)?);
        Ok(())
    }

    /// Waits until the broker has acknowledged what was sent, and commits it with the position.
    /// Returns partition and offset of each outcome record.
    pub(crate) async fn commit(
        &self,
        sent: Sent,
        position: &ReplayPosition,
    ) -> KafkaResult<Vec<(i32, i64)>> {
        acknowledged(sent.replayed).await?;
        let outcomes = acknowledged(sent.outcomes).await?;
        self.wait_until_none_in_flight().await?;
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in position {
            offsets.add_partition_offset(&self.name, *partition, Offset::Offset(*offset))?;
        }
        let (producer, group) = (self.producer.clone(), Arc::clone(&self.group));
        blocking(move || {
            if offsets.count() > 0 {
                let group = group.group_metadata().ok_or(KafkaError::Canceled)?;
                producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT)?;
            }
            producer.commit_transaction(TIMEOUT)
        })
        .await?;
        Ok(outcomes)
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

    /// Aborts the open transaction.
    pub(crate) async fn abort(&self) -> KafkaResult<()> {
        let producer = self.producer.clone();
        blocking(move || producer.abort_transaction(TIMEOUT)).await
    }

    /// Ends after an error that no dead letter is the reason of. If the abort fails, as it must
    /// after a fence, the broker aborts the transaction after 5 s or when the next replay begins. If
    /// the transaction was committed and only the answer was lost, the next replay finds the
    /// committed position.
    pub(crate) async fn give_up(&self, error: KafkaError) -> ReplayError {
        let explained = self.explain(error);
        if let Err(error) = self.abort().await {
            tracing::debug!(%error, "abort of a failed replay is left to the broker");
        }
        explained
    }

    pub(crate) fn explain(&self, error: KafkaError) -> ReplayError {
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        match fatal.or(error.rdkafka_error_code()) {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::ProducerFenced,
            ) => ReplayError::Fenced(self.name.clone()),
            _ => self
                .cluster
                .error(format!("replay {}", self.name), error)
                .into(),
        }
    }

    /// Moves the position past outcome records, so that the group has no lag when no dead letter is
    /// left to process. `written` are the outcome records of this producer.
    pub(crate) async fn skip_outcomes(&self, written: &[(i32, i64)]) -> Result<(), ReplayError> {
        if written.is_empty() {
            return Ok(());
        }
        self.wait_until_readable(written).await?;
        let position = self.position().await?;
        let query = Query {
            start: Start::Offsets(position.clone()),
            ..Query::default()
        };
        let pick = |record: Record| {
            let outcome = OutcomeRecord::read(&record).map(|outcome| outcome.offset);
            Some((record.partition, record.offset, outcome))
        };
        let topic = [self.name.clone()];
        let (records, _) = self.cluster.read_picked(&topic, &query, pick).await?;
        let moved = position_past_outcomes(records);
        if moved.is_empty() {
            return Ok(());
        }
        let committed = match self.begin_transaction() {
            Ok(()) => self.commit(Sent::default(), &moved).await,
            Err(error) => Err(error),
        };
        match committed {
            Ok(_) => Ok(()),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// The broker answers a commit before it has written the markers, and until then no
    /// `read_committed` reader sees the records. After the time limit the next replay skips them.
    async fn wait_until_readable(&self, written: &[(i32, i64)]) -> Result<(), ClusterError> {
        let deadline = Instant::now() + MARKER_WITHIN;
        for (partition, offset) in written.iter().copied() {
            loop {
                let (client, name) = (Arc::clone(&self.group), self.name.clone());
                let ends = blocking(move || clients::watermarks(&client, &name, partition)).await;
                let (_, end) = ends.map_err(|error| self.cluster.error("read the end", error))?;
                if end > offset || Instant::now() > deadline {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}

/// Partition and offset of each record, once the broker has acknowledged all.
///
/// When one record fails, the client drops the others that it has not sent yet. The error is that of
/// the record that failed, and not that of a dropped one.
async fn acknowledged(sent: Vec<DeliveryFuture>) -> KafkaResult<Vec<(i32, i64)>> {
    let mut sent: FuturesUnordered<DeliveryFuture> = sent.into_iter().collect();
    let (mut delivered, mut dropped) = (Vec::new(), None);
    while let Some(delivery) = sent.next().await {
        match delivery.map_err(|_| KafkaError::Canceled)? {
            Ok(one) => delivered.push((one.partition, one.offset)),
            Err((error, _)) if is_dropped(&error) => dropped = Some(error),
            Err((error, _)) => return Err(error),
        }
    }
    dropped.map_or(Ok(delivered), Err)
}

fn is_dropped(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
    )
}
