//! Open transactions, the outcome that their coordinator recorded, and the markers that end them
//! (KIP-664).
//!
//! A transaction is *decided* in the coordinator's log (`__transaction_state`). Then the broker
//! appends a marker to each partition of the transaction. A transaction whose marker was lost is
//! *hanging*: its partition's last stable offset stays in front of it, so no `read_committed`
//! consumer and no group's committed offset in it can be read. [`Transactions::list`] finds it,
//! [`Transactions::outcome`] looks up what was decided, and [`Transactions::write_marker`] appends
//! the missing marker.

mod coordinator;
mod decision;
mod producers;
mod transaction_log;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::error::ReadError;
use crate::protocol::brokers::{Brokers, ReaderSettings, by_leader};
use crate::snapshot::TopicPartition;
use coordinator::CoordinatorState;
use producers::open_transactions;

/// A transaction that is open in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The partition.
    pub partition: TopicPartition,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch in this partition.
    pub producer_epoch: i16,
    /// The epoch of the coordinator that wrote the producer's last marker to this partition; 0 if
    /// there is none.
    pub coordinator_epoch: i32,
    /// The offset of the transaction's first record in this partition.
    pub start_offset: i64,
    /// The timestamp of the producer's last record in this partition.
    pub last_write: DateTime<Utc>,
    /// `transactional.id`. `None` if no coordinator knows the producer.
    pub transactional_id: Option<String>,
    /// What the coordinator says of the transaction.
    pub status: TransactionStatus,
}

/// What the coordinator says of a transaction that is open in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// The producer works on it. The coordinator aborts it after the time-out.
    Ongoing {
        /// When it was begun.
        started: DateTime<Utc>,
        /// `transaction.timeout.ms`.
        timeout: Duration,
    },
    /// It is decided, and its markers are being written.
    Completing,
    /// The coordinator has no open transaction of this producer in this partition: no marker will
    /// come.
    Hanging,
}

impl OpenTransaction {
    /// The transactional id, else the producer id.
    pub fn producer_name(&self) -> String {
        match &self.transactional_id {
            Some(id) => id.clone(),
            None => format!("producer {}", self.producer_id),
        }
    }
}

/// The outcome of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its records become readable for `read_committed`.
    Committed,
    /// Its records are skipped by `read_committed`.
    Aborted,
}

/// A decision in the coordinator's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedOutcome {
    /// What was decided.
    pub outcome: Outcome,
    /// When, by the clock of the coordinator.
    pub decided_at: DateTime<Utc>,
    /// The epoch that the marker must have.
    pub marker_epoch: i16,
}

/// Why the outcome of a transaction is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeUnknown {
    /// The log has no decision of this producer about the partition, or it has been compacted away.
    #[error("the coordinator's log has no decision about it")]
    NotRecorded,
    /// The last decision is of another time than the records of the transaction.
    #[error(
        "the last recorded decision is of {decided_at}, and the last record of the transaction of {last_write}"
    )]
    OtherTime {
        /// When the last recorded transaction was decided.
        decided_at: DateTime<Utc>,
        /// See [`OpenTransaction::last_write`].
        last_write: DateTime<Utc>,
    },
}

/// Finds and ends open transactions. Unlike [`crate::ClusterReader`] it can change the cluster, in
/// [`Transactions::write_marker`] alone.
#[derive(Debug)]
pub struct Transactions {
    brokers: Brokers,
}

impl Transactions {
    /// The first call connects.
    pub fn new(settings: ReaderSettings) -> Self {
        Self {
            brokers: Brokers::new(settings),
        }
    }

    /// Every transaction that is open in a partition, also in internal topics, by partition and
    /// offset.
    ///
    /// A transaction that ends while it is looked at is left out.
    ///
    /// # Errors
    /// When any partition or coordinator could not be read.
    pub async fn list(&mut self) -> Result<Vec<OpenTransaction>, ReadError> {
        let topics = self.brokers.topics().await?;
        let mut open = open_transactions(&mut self.brokers, &topics).await?;
        if open.is_empty() {
            return Ok(open);
        }
        let producers: BTreeSet<i64> = open.iter().map(|one| one.producer_id).collect();
        let states = coordinator::states(&mut self.brokers, &producers).await?;
        for one in &mut open {
            let state = states.get(&one.producer_id);
            one.transactional_id = state.map(|state| state.transactional_id.clone());
            one.status = status(one, state);
        }
        // A transaction that was decided and marked between the two requests looks like a hanging
        // one. It is not open any more.
        let still_open = open_transactions(&mut self.brokers, &topics).await?;
        let key =
            |one: &OpenTransaction| (one.partition.clone(), one.producer_id, one.start_offset);
        let still_open: BTreeSet<_> = still_open.iter().map(key).collect();
        open.retain(|one| still_open.contains(&key(one)));
        Ok(open)
    }

    /// What the coordinator decided about a hanging transaction. Reads the coordinator's log from a
    /// minute before the transaction's last record on.
    ///
    /// The decision is the last one of this producer that names the partition: a later one would
    /// have ended the transaction with its own marker.
    ///
    /// # Errors
    /// When the log could not be read.
    pub async fn outcome(
        &mut self,
        open: &OpenTransaction,
    ) -> Result<Result<RecordedOutcome, OutcomeUnknown>, ReadError> {
        let topics = self.brokers.topics().await?;
        let decisions = transaction_log::decisions(&mut self.brokers, &topics, open).await?;
        Ok(decision::outcome(&decisions, open))
    }

    /// Appends the missing marker to the partition of a hanging transaction, at its leader
    /// (WriteTxnMarkers).
    ///
    /// # Errors
    /// When the broker does not write it: it has a newer epoch of the producer or the coordinator.
    pub async fn write_marker(
        &mut self,
        open: &OpenTransaction,
        recorded: &RecordedOutcome,
    ) -> Result<(), ReadError> {
        let topics = self.brokers.topics().await?;
        let call = self.brokers.call::<MetadataRequest>(-1);
        let leaders = by_leader(call, &topics, [open.partition.clone()])?;
        let topic = WritableTxnMarkerTopic::default()
            .with_name(topic_name(&open.partition.topic))
            .with_partition_indexes(vec![open.partition.partition]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(open.producer_id.into())
            .with_producer_epoch(recorded.marker_epoch)
            .with_transaction_result(recorded.outcome == Outcome::Committed)
            .with_coordinator_epoch(open.coordinator_epoch)
            .with_topics(vec![topic]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        for leader in leaders.into_keys() {
            let response = self.brokers.send(leader, &request).await?;
            let call = self.brokers.call::<WriteTxnMarkersRequest>(leader);
            let topics = response.markers.iter().flat_map(|marker| &marker.topics);
            let Some(result) = topics.flat_map(|topic| &topic.partitions).next() else {
                return Err(call.incomplete(open.partition.to_string(), "it is not in the answer"));
            };
            call.check(result.error_code, || open.partition.to_string())?;
        }
        Ok(())
    }
}

/// With the epoch bump of KIP-890 each transaction has an epoch of its own, so an ongoing one of
/// another epoch is another transaction.
fn status(open: &OpenTransaction, state: Option<&CoordinatorState>) -> TransactionStatus {
    let Some(state) = state.filter(|state| state.partitions.contains(&open.partition)) else {
        return TransactionStatus::Hanging;
    };
    match state.state.as_str() {
        "Ongoing" if state.producer_epoch == open.producer_epoch => TransactionStatus::Ongoing {
            started: state.started,
            timeout: state.timeout,
        },
        "PrepareCommit" | "PrepareAbort" | "PrepareEpochFence" => TransactionStatus::Completing,
        _ => TransactionStatus::Hanging,
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A timestamp of Kafka, milliseconds. A value that no calendar has becomes 1970.
fn time(timestamp_ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(timestamp_ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(partition: i32) -> OpenTransaction {
        OpenTransaction {
            partition: TopicPartition {
                topic: "payments".to_owned(),
                partition,
            },
            producer_id: 7,
            producer_epoch: 3,
            coordinator_epoch: 0,
            start_offset: 10,
            last_write: time(1_000),
            transactional_id: None,
            status: TransactionStatus::Hanging,
        }
    }

    fn state(name: &str, epoch: i16, partitions: &[i32]) -> CoordinatorState {
        CoordinatorState {
            transactional_id: "payment-service-1".to_owned(),
            state: name.to_owned(),
            producer_epoch: epoch,
            started: time(900),
            timeout: Duration::from_secs(10),
            partitions: partitions.iter().map(|one| open(*one).partition).collect(),
        }
    }

    #[test]
    fn a_transaction_hangs_if_the_coordinator_has_no_open_one_there() {
        let ongoing = TransactionStatus::Ongoing {
            started: time(900),
            timeout: Duration::from_secs(10),
        };
        for (name, epoch, partitions, expected) in [
            ("Ongoing", 3, &[0, 1][..], ongoing),
            ("Ongoing", 3, &[1], TransactionStatus::Hanging),
            ("Ongoing", 4, &[0], TransactionStatus::Hanging),
            ("PrepareCommit", 4, &[0], TransactionStatus::Completing),
            ("PrepareAbort", 3, &[0], TransactionStatus::Completing),
            ("CompleteCommit", 3, &[], TransactionStatus::Hanging),
            ("Empty", 3, &[], TransactionStatus::Hanging),
        ] {
            let state = state(name, epoch, partitions);
            assert_eq!(status(&open(0), Some(&state)), expected, "{name} {epoch}");
        }
        assert_eq!(status(&open(0), None), TransactionStatus::Hanging);
    }
}
