//! What follows a batch: counting and seeking after a commit, the error and the wait before a retry.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::handler::{Failure, Handler};
use crate::librdkafka::CommitError;
use crate::member::MemberError;
use crate::member::batch_telemetry::BatchTelemetry;
use crate::member::classify::Classification;
use crate::member::collect::Batch;
use crate::member::consumer_loop::ConsumerLoop;
use crate::member::pause_state::{Halt, blocked_reason};
use crate::member::poison_policy::BatchCut;
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
        self.metrics.committed(&records, &telemetry.times());
        self.controls.count_processed(records.values().sum());
        self.health.reached();
        self.no_failure();
        self.poison_run = cut.poison_run;
        self.update_blocked(starts, cut);
        self.seek(&cut.left_out)?;
        if let Some((partition, offset)) = cut.limit_reached {
            let limit = self.settings.consumer.poison_limit;
            self.halt(Halt::PoisonLimit(limit, self.place(partition, offset)));
        } else if !cut.left_out.is_empty() {
            self.back_off(0);
        }
        Ok(())
    }

    /// The partitions of the batch are blocked where the cut left their poison out. The others stay as they are.
    fn update_blocked(&mut self, starts: &Offsets, cut: &BatchCut) {
        let before = self.blocked.clone();
        self.blocked
            .retain(|partition, _| !starts.contains_key(partition));
        if self.settings.consumer.poison_policy != PoisonPolicy::Block {
            return;
        }
        for (partition, offset) in &cut.left_out {
            if before.get(partition) != Some(offset) {
                tracing::warn!("{}", blocked_reason(&self.place(*partition, *offset)));
            }
            self.blocked.insert(*partition, *offset);
        }
    }

    fn count_records(&mut self, committed: &Batch<'_, H::Work>) -> BTreeMap<Partition, u64> {
        let mut by_partition = BTreeMap::new();
        for record in &committed.records {
            *by_partition.entry(record.partition).or_insert(0) += 1;
            match &record.classification {
                Classification::Work(_) => {}
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
