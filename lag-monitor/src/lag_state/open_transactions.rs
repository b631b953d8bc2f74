//! The open transactions of the cluster, and those that hang.
//!
//! A transaction hangs if two searches in a row found it open without its coordinator knowing it: at
//! the first its marker may just have been on its way. It also hangs if it is older than its
//! time-out, since then its coordinator should have aborted it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cluster_reader::transactions::{OpenTransaction, TransactionStatus};
use cluster_reader::{Snapshot, TopicPartition};

use super::{LagState, MonitorEvent, StaleData};
use crate::format::{display_name, list_names, time};

/// The topic of the committed offsets of all groups.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// From one search to the next.
pub const SEARCH_INTERVAL: Duration = Duration::from_secs(30);

/// A search is current for three intervals.
const CURRENT_FOR: TimeDelta = TimeDelta::seconds(90);

/// How much later than its time-out a transaction may be aborted: the coordinator looks every 10 s.
const ABORT_DELAY: TimeDelta = TimeDelta::seconds(15);

/// Most names of partitions, and of groups, in one sentence.
const MAX_NAMES: usize = 10;

type TransactionKey = (TopicPartition, i64, i64);

/// The result of the last search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionSearch {
    pub searched_at: DateTime<Utc>,
    /// Open transactions, hanging or not; one that is open in three partitions counts once.
    pub open: usize,
    /// By partition and offset.
    pub hanging: Vec<OpenTransaction>,
}

#[derive(Debug, Default)]
pub(super) struct TransactionSearches {
    last: Option<TransactionSearch>,
    /// Those of the last search that its coordinator did not know.
    suspects: BTreeSet<TransactionKey>,
    failed: u64,
}

/// What an alert says about a transaction that hangs.
#[derive(Debug)]
pub(super) struct HangingAlert {
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) producer: String,
    pub(super) message: String,
}

impl LagState {
    /// Records a successful search, and publishes the alerts that follow. The health of the groups
    /// follows with the next snapshot.
    pub fn record_transactions(&self, now: DateTime<Utc>, open: Vec<OpenTransaction>) {
        let mut alerts = Vec::new();
        self.write(|inner| {
            let hanging = inner.transactions.add(now, open);
            let by_producer = hanging_alerts(&hanging, inner.snapshots.latest());
            alerts = inner.alerts.record_transactions(now, by_producer);
            inner.snapshots.set_hanging_transactions(hanging);
        });
        if !alerts.is_empty() {
            self.publish(MonitorEvent::StateChanged, alerts);
        }
    }

    /// Counts a failed search. What the last successful one has found stays known while that search
    /// is current. Then it is forgotten, since the transactions may have ended meanwhile, and alerts
    /// say so.
    pub fn record_transactions_failure(&self, now: DateTime<Utc>) {
        let mut alerts = Vec::new();
        self.write(|inner| {
            inner.transactions.failed += 1;
            let last = inner.transactions.last.as_ref();
            if let Some(last) = last.filter(|last| !last.is_current(now)) {
                alerts = inner.alerts.transactions_unknown(now, last.searched_at);
                inner.snapshots.set_hanging_transactions(Vec::new());
            }
        });
        if !alerts.is_empty() {
            self.publish(MonitorEvent::StateChanged, alerts);
        }
    }

    /// The last search, if it is current at `now`.
    ///
    /// # Errors
    /// If it is too old, or there was none.
    pub fn transactions(&self, now: DateTime<Utc>) -> Result<TransactionSearch, StaleData> {
        let last = self.read(|inner| inner.transactions.last.clone());
        let last_success = last.as_ref().map(|last| last.searched_at);
        let current = last.filter(|last| last.is_current(now));
        current.ok_or(StaleData { last_success })
    }

    /// Failed searches since the process started.
    pub fn failed_transaction_searches(&self) -> u64 {
        self.read(|inner| inner.transactions.failed)
    }
}

impl TransactionSearch {
    fn is_current(&self, now: DateTime<Utc>) -> bool {
        now - self.searched_at <= CURRENT_FOR
    }
}

impl TransactionSearches {
    /// Returns the transactions that hang.
    fn add(&mut self, now: DateTime<Utc>, found: Vec<OpenTransaction>) -> Vec<OpenTransaction> {
        let producers: BTreeSet<i64> = found.iter().map(|one| one.producer_id).collect();
        let is_unknown = |one: &&OpenTransaction| one.status == TransactionStatus::Hanging;
        let suspects = found.iter().filter(is_unknown).map(key).collect();
        let before = std::mem::replace(&mut self.suspects, suspects);
        let hangs = |one: &OpenTransaction| match one.status {
            TransactionStatus::Hanging => before.contains(&key(one)),
            TransactionStatus::Ongoing { started, timeout } => {
                let timeout = TimeDelta::from_std(timeout).unwrap_or(TimeDelta::MAX);
                (now - started)
                    .checked_sub(&ABORT_DELAY)
                    .is_some_and(|age| age > timeout)
            }
            TransactionStatus::Completing => false,
        };
        let hanging: Vec<OpenTransaction> = found.into_iter().filter(hangs).collect();
        self.last = Some(TransactionSearch {
            searched_at: now,
            open: producers.len(),
            hanging: hanging.clone(),
        });
        hanging
    }
}

fn key(one: &OpenTransaction) -> TransactionKey {
    (one.partition.clone(), one.producer_id, one.start_offset)
}

/// One alert for each producer.
fn hanging_alerts(
    hanging: &[OpenTransaction],
    snapshot: Option<&Snapshot>,
) -> BTreeMap<i64, HangingAlert> {
    let mut by_producer: BTreeMap<i64, Vec<&OpenTransaction>> = BTreeMap::new();
    for one in hanging {
        by_producer.entry(one.producer_id).or_default().push(one);
    }
    let alerts = by_producer.into_iter().filter_map(|(producer_id, parts)| {
        let producer = display_name(&parts.first()?.producer_name());
        let partitions: BTreeSet<TopicPartition> =
            parts.iter().map(|one| one.partition.clone()).collect();
        let since = parts.iter().map(|one| one.last_write).max()?;
        let alert = HangingAlert {
            message: format!(
                "hanging_transaction: the transaction of {producer} has not ended since its last record at {} in {}; groups that read these partitions: {}; {}",
                time(since),
                places(&partitions),
                list_names(readers(&partitions, snapshot), MAX_NAMES),
                advice(&parts),
            ),
            partitions,
            producer,
        };
        Some((producer_id, alert))
    });
    alerts.collect()
}

/// Only a transaction that its coordinator does not know has a marker to write.
fn advice(parts: &[&OpenTransaction]) -> &'static str {
    let mut statuses = parts.iter().map(|one| one.status);
    match statuses.any(|status| status == TransactionStatus::Hanging) {
        true => "./sandbox transactions resolve shows what would end it",
        false => {
            "its time-out has passed, and its coordinator has not aborted it: ./sandbox transactions list"
        }
    }
}

fn places(partitions: &BTreeSet<TopicPartition>) -> String {
    let names = partitions.iter().map(|at| match at.topic.as_str() {
        OFFSETS_TOPIC => format!("{at} (committed offsets of one or more groups)"),
        _ => at.to_string(),
    });
    let names: Vec<String> = names.collect();
    list_names(names.iter().map(String::as_str), MAX_NAMES)
}

/// The groups that have committed an offset in one of the partitions, or are assigned one.
pub fn readers<'a>(
    partitions: &'a BTreeSet<TopicPartition>,
    snapshot: Option<&'a Snapshot>,
) -> impl Iterator<Item = &'a str> {
    let groups = snapshot.into_iter().flat_map(|snapshot| &snapshot.groups);
    let reads = groups.filter(|(_, group)| {
        let mut read = partitions.iter();
        read.any(|at| group.partitions.contains_key(at))
    });
    reads.map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests;
