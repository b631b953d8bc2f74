//! Asks the transaction coordinators about producers (ListTransactions, DescribeTransactions).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    DescribeTransactionsRequest, ListTransactionsRequest, TransactionalId,
};

use super::time;
use crate::error::ReadError;
use crate::protocol::brokers::Brokers;
use crate::snapshot::TopicPartition;

/// The state of a producer at its coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoordinatorState {
    pub transactional_id: String,
    /// Kafka's name: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`,
    /// `CompleteAbort`, `Dead` or `PrepareEpochFence`.
    pub state: String,
    pub producer_epoch: i16,
    pub started: DateTime<Utc>,
    pub timeout: Duration,
    /// The partitions of the transaction that have no marker yet.
    pub partitions: BTreeSet<TopicPartition>,
}

/// The state of each of these producers, by producer id. A producer that no coordinator knows is
/// left out.
pub(super) async fn states(
    brokers: &mut Brokers,
    producers: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, CoordinatorState>, ReadError> {
    let mut states = BTreeMap::new();
    // Each coordinator lists its own transactions, so it is also the one to describe them.
    for broker in brokers.ids() {
        let ids = producers.iter().map(|id| (*id).into()).collect();
        let request = ListTransactionsRequest::default()
            .with_producer_id_filters(ids)
            .with_duration_filter(-1);
        let listed = brokers.send(broker, &request).await?;
        brokers
            .call::<ListTransactionsRequest>(broker)
            .check(listed.error_code, || "its transactions".to_owned())?;
        let ids: Vec<TransactionalId> = listed
            .transaction_states
            .into_iter()
            .map(|one| one.transactional_id)
            .collect();
        if ids.is_empty() {
            continue;
        }
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        let described = brokers.send(broker, &request).await?;
        let call = brokers.call::<DescribeTransactionsRequest>(broker);
        for one in described.transaction_states {
            let id = one.transactional_id.0.to_string();
            // It has expired since it was listed.
            if one.error_code == ResponseError::TransactionalIdNotFound.code() {
                continue;
            }
            call.check(one.error_code, || format!("transactional id {id}"))?;
            let partitions = one.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|number| TopicPartition {
                    topic: topic.topic.0.to_string(),
                    partition: *number,
                })
            });
            let state = CoordinatorState {
                transactional_id: id,
                state: one.transaction_state.to_string(),
                producer_epoch: one.producer_epoch,
                started: time(one.transaction_start_time_ms),
                timeout: Duration::from_millis(
                    one.transaction_timeout_ms.max(0).unsigned_abs().into(),
                ),
                partitions: partitions.collect(),
            };
            states.insert(one.producer_id.0, state);
        }
    }
    Ok(states)
}
