//! What follows a batch: counting and seeking after a commit, the error and the wait before a retry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shared_events::Topic;

use crate::error_chain::ErrorChain;
use crate::faults::Protection;
use crate::handler::{Failure, Handler};
use crate::librdkafka::{ClientState, CommitError};
use crate::member::MemberError;
use crate::member::batch_failure::BatchFailure;
use crate::member::batch_telemetry::BatchTelemetry;
use crate::member::classify::Classification;
use crate::member::collect::{Batch, BatchRange};
use crate::member::consumer_loop::ConsumerLoop;
use crate::member::pause_state::{Blocked, Halt};
use crate::member::poison_policy::BatchCut;
use crate::metrics::labels::{FailedStage, RetryPlace};
use crate::settings::PoisonPolicy;
use crate::topic_partitions::{Offsets, Partition};

/// Longest waits after the first, second … failure in a row. Half of each wait is random, so that members do not retry in
/// step. The last one is also how late a stop may be noticed.
const BACK_OFF_MS: [u64; 5] = [50, 100, 200, 500, 1_000];

/// Why a batch is retried.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(transparent)]
    Apply(#[from] Failure),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl<H: Handler> ConsumerLoop<H> {
    /// After a commit: seeks back to the records that the poison policy left out, and halts at the poison limit.
    pub(super) fn on_committed(
        &mut self,
        starts: &Offsets,
        batch: &Batch<'_, H::Work>,
        cut: &BatchCut,
        offsets: Offsets,
        telemetry: BatchTelemetry,
    ) -> Result<(), MemberError> {
        let records = self.count_records(batch);
        self.consumer.mark_committed(offsets);
        // A batch of which every record waits is none.
        if !records.is_empty() {
            self.metrics.committed(&records, &telemetry.times());
        }
        self.controls.count_processed(records.values().sum());
        self.health.reached();
        self.no_failure();
        self.poison_run = cut.poison_run;
        self.update_blocked(starts, batch, cut);
        self.update_waiting(starts, batch);
        let mut left_out = cut.left_out.clone();
        if !self.settings.faults.keeps(Protection::SeekBack) {
            left_out.retain(|partition, _| !batch.waits.contains_key(partition));
        }
        self.seek(&left_out)?;
        if let Some((partition, offset)) = cut.limit_reached {
            let limit = self.settings.consumer.poison_limit;
            self.halt(Halt::PoisonLimit(limit, self.place(partition, offset)));
        } else if cut
            .left_out
            .keys()
            .any(|one| !batch.waits.contains_key(one))
        {
            self.back_off(0);
        }
        Ok(())
    }

    /// The partitions of the batch are blocked where the cut left their poison out. The others stay as they are.
    fn update_blocked(&mut self, starts: &Offsets, batch: &Batch<'_, H::Work>, cut: &BatchCut) {
        let mut before = self.blocked.clone();
        self.blocked
            .retain(|partition, _| !starts.contains_key(partition));
        if self.settings.consumer.poison_policy != PoisonPolicy::Block {
            return;
        }
        for (partition, offset) in &cut.left_out {
            // A record that waits is no poison.
            let Some(record) = batch.left_out.get(partition) else {
                continue;
            };
            let blocked = Blocked {
                place: self.place(*partition, *offset),
                record: record.clone(),
            };
            if before.remove(partition).as_ref() != Some(&blocked) {
                tracing::warn!("{blocked}");
            }
            self.blocked.insert(*partition, blocked);
        }
    }

    fn count_records(&mut self, committed: &Batch<'_, H::Work>) -> BTreeMap<Partition, u64> {
        let mut by_partition = BTreeMap::new();
        for record in &committed.records {
            *by_partition.entry(record.partition).or_insert(0) += 1;
            match &record.classification {
                Classification::Work(_) | Classification::Waiting(_) => {}
                Classification::Retry(retry) => {
                    let (partition, offset) = (record.partition, record.offset());
                    tracing::debug!(topic = %partition.topic, partition = partition.number, offset, attempt = retry.attempt, cause = retry.cause, "sent to the retry topic");
                    self.metrics.retried(RetryPlace::Topic, 1);
                }
                Classification::Skipped(reason) => self.metrics.skipped(*reason, 1),
                Classification::Poison(poison) => {
                    let (partition, offset) = (record.partition, record.offset());
                    tracing::warn!(topic = %partition.topic, partition = partition.number, offset, %poison, "sent to the dead-letter topic");
                    self.metrics.dead_letter(poison.class);
                    self.metrics.error(partition.topic);
                }
            }
        }
        let names = self.consumer.names();
        for (partition, records) in &by_partition {
            self.metrics.consumed(names, *partition, *records);
        }
        by_partition
    }

    /// The one failure path: nothing is committed, and the batch is read again.
    pub(super) fn retry_batch(
        &mut self,
        range: &BatchRange,
        error: BatchError,
        telemetry: BatchTelemetry,
    ) -> Result<(), MemberError> {
        telemetry.failed(&error);
        let stage = match &error {
            BatchError::Commit(CommitError::SlotTaken) => return Err(MemberError::SlotTaken),
            BatchError::Commit(CommitError::OutcomeUnknown(_)) => {
                // A new consumer begins at the committed offsets. The broker does not return them before the transaction has
                // ended, so the batch is neither published twice nor skipped.
                self.metrics.failed(FailedStage::Commit);
                tracing::warn!(cause = %ErrorChain(&error), "outcome of the commit unknown");
                let state = self.consumer.replace("outcome of a commit unknown")?;
                self.count_failure_if(state);
                return Ok(());
            }
            BatchError::Commit(CommitError::Rebalanced(_)) => FailedStage::Rebalance,
            BatchError::Commit(CommitError::Retryable(_)) => FailedStage::Commit,
            BatchError::Apply(_) => FailedStage::Apply,
        };
        self.metrics.failed(stage);
        if self.settings.faults.keeps(Protection::SeekBack) {
            self.seek(&range.starts)?;
        }
        if stage == FailedStage::Rebalance {
            // It happens whenever members come and go, so there is no reason to wait.
            tracing::info!(cause = %ErrorChain(&error), "group rebalanced, batch will be retried");
            return Ok(());
        }
        let topics: BTreeSet<Topic> = range
            .starts
            .keys()
            .map(|partition| partition.topic)
            .collect();
        topics
            .into_iter()
            .for_each(|topic| self.metrics.error(topic));
        let failure = BatchFailure::of(range, self.consumer.names(), self.cause(&error));
        if self.outage.failed(&failure.cause) {
            tracing::warn!(cause = failure.cause, "batch failed, will retry");
        }
        self.failure = Some(failure);
        self.back_off(self.failures);
        self.failures += 1;
        Ok(())
    }

    /// The error in one line. A wait for a lock of the database names the holder.
    fn cause(&self, error: &BatchError) -> String {
        if let BatchError::Apply(failure @ Failure::Retryable { operation, .. }) = error
            && let Some(cause) = self.settings.lock_waits.cause(failure)
        {
            return format!("{operation} failed: {cause}");
        }
        ErrorChain(error).to_string()
    }

    /// A replaced client counts as a failure until the next batch is committed.
    pub(super) fn count_failure_if(&mut self, state: ClientState) {
        if state == ClientState::Replaced {
            self.failures += 1;
            self.failure.get_or_insert_with(BatchFailure::replaced);
        }
    }

    /// A batch is committed, or none is left to retry.
    pub(super) fn no_failure(&mut self) {
        self.failures = 0;
        self.failure = None;
        if let Some(outage) = self.outage.ended() {
            tracing::info!(
                after.seconds = outage.as_secs_f64(),
                "no batch fails any more"
            );
        }
    }

    pub(super) fn back_off(&self, failures: usize) {
        let longest = BACK_OFF_MS
            .get(failures)
            .or(BACK_OFF_MS.last())
            .copied()
            .unwrap_or_default();
        let millis = longest / 2 + fastrand::u64(0..=longest / 2);
        std::thread::sleep(Duration::from_millis(millis));
    }
}
