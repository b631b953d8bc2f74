//! What a member does with records that failed for now: tries them again within the batch, then lets them wait where `RETRY`
//! says. [`crate::retry`] has the contract.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::Utc;
use shared_events::member_api::{ConditionKind, MemberCondition, PartitionOffsets};
use shared_events::{Envelope, Poison, PoisonClass};

use crate::faults::Protection;
use crate::handler::{Failure, Handler};
use crate::member::classify::{
    Classification, FailedForNow, HandlerOutput, apply_isolating_poison,
};
use crate::member::collect::{Batch, Collected, Wait};
use crate::member::conditions::condition;
use crate::member::consumer_loop::ConsumerLoop;
use crate::member::poison_policy::{BatchCut, RecordRef, cut_batch};
use crate::metrics::labels::RetryPlace;
use crate::retry::{MAX_BLOCKED_WAIT, MAX_TOPIC_WAIT, RetryHeaders, RetryMode};
use crate::topic_partitions::{Offsets, Partition};

/// How often a record is tried within one batch.
const TRIES_IN_BATCH: usize = 3;

/// No further try begins in the batch after this time. Together with the handler's own limit it is far below
/// `max.poll.interval.ms` (60 s), so the member keeps its partitions.
const BATCH_RETRY_LIMIT: Duration = Duration::from_secs(5);

/// The largest key and value that are sent to a retry topic, bytes: the limit of an event. A larger record, which can only be
/// a compressed one, waits where it is.
const MAX_RETRY_BYTES: usize = 1 << 20;

/// Failures of a blocked partition after which it is a condition of the member, and logged.
const SHOWN_AFTER: u32 = 2;

/// A partition that waits for its next record.
#[derive(Debug, Clone)]
pub(super) struct WaitingPartition {
    offset: i64,
    until: Instant,
    /// How often the record has failed here. 0 for a record that is not due yet.
    failures: u32,
    cause: Option<String>,
}

impl<H: Handler> ConsumerLoop<H> {
    /// Applies works, and tries those that failed for now again, after a short wait.
    pub(super) fn apply_with_retries(&self, works: &[&H::Work]) -> Result<HandlerOutput, Failure> {
        let started = Instant::now();
        let apply = |works: &[&H::Work]| {
            let applying = apply_isolating_poison(&self.handler, works);
            self.runtime.block_on(applying)
        };
        let mut output = apply(works)?;
        for tries in 1..TRIES_IN_BATCH {
            let is_late = started.elapsed() > BATCH_RETRY_LIMIT || self.stop.is_cancelled();
            if is_late || !output.failed.iter().any(FailedForNow::was_tried) {
                break;
            }
            self.back_off(tries - 1);
            let (failed, not_tried) = std::mem::take(&mut output.failed)
                .into_iter()
                .partition(FailedForNow::was_tried);
            output.failed = not_tried;
            self.metrics.retried(RetryPlace::InPlace, failed.len());
            let again: Vec<&H::Work> = failed
                .iter()
                .filter_map(|one: &FailedForNow| works.get(one.work).copied())
                .collect();
            output.add_retried(&failed, apply(&again)?);
        }
        output.sort();
        Ok(output)
    }

    /// Decides what becomes of each record that failed for now. `indices` has the record of each work.
    pub(super) fn mark_failed(
        &self,
        batch: &mut Batch<'_, H::Work>,
        indices: &[usize],
        failed: Vec<FailedForNow>,
    ) {
        for one in failed {
            let record = indices
                .get(one.work)
                .and_then(|index| batch.records.get_mut(*index));
            if let Some(record) = record {
                record.attempts = one.attempts;
                record.classification = self.after_failure(record, one.cause);
            }
        }
    }

    /// What the poison policy keeps of these records.
    pub(super) fn cut_refs(&self, refs: &[RecordRef]) -> BatchCut {
        let consumer = &self.settings.consumer;
        let limit = match self.settings.faults.keeps(Protection::PoisonLimit) {
            true => consumer.poison_limit,
            false => u32::MAX,
        };
        cut_batch(refs, consumer.poison_policy, self.poison_run, limit)
    }

    /// Cuts what is kept of the batch once more, since records of it may wait now, and drops the events of records that are not
    /// kept any more. `indices` has the record of each work.
    pub(super) fn cut_again(
        &self,
        batch: &Batch<'_, H::Work>,
        before: BatchCut,
        indices: &[usize],
        events: Vec<(usize, Envelope)>,
    ) -> (BatchCut, Vec<Envelope>) {
        let refs = batch.records.iter().map(Collected::record_ref);
        let kept: Vec<RecordRef> = refs.filter(|record| before.keeps(record)).collect();
        let mut cut = self.cut_refs(&kept);
        for (partition, offset) in before.left_out {
            cut.left_out.entry(partition).or_insert(offset);
        }
        let is_kept = |work: usize| {
            let record = indices
                .get(work)
                .and_then(|index| batch.records.get(*index));
            record.is_some_and(|record| cut.keeps(&record.record_ref()))
        };
        let events = events.into_iter().filter(|(work, _)| is_kept(*work));
        let events = events.map(|(_, event)| event).collect();
        (cut, events)
    }

    fn after_failure(
        &self,
        record: &Collected<'_, H::Work>,
        cause: Option<String>,
    ) -> Classification<H::Work> {
        let settings = &self.settings.retry;
        let Some(cause) = cause else {
            let wait = Duration::ZERO;
            return Classification::Waiting(Wait { wait, cause: None });
        };
        let bytes = record.message.key_len() + record.message.payload_len();
        if settings.retry == RetryMode::Blocking
            || self.settings.service.retry_topic().is_none()
            || bytes > MAX_RETRY_BYTES
        {
            let wait = settings.wait(self.failures_of(record) + 1, MAX_BLOCKED_WAIT);
            let cause = Some(cause);
            return Classification::Waiting(Wait { wait, cause });
        }
        let attempt = record.retry.as_ref().map_or(0, |retry| retry.attempt);
        if attempt >= settings.retry_max {
            let message = format!("sent to the retry topic {attempt} times: {cause}");
            return Classification::Poison(Poison::new(PoisonClass::RetriesExhausted, message));
        }
        let wait = settings.wait(attempt + 1, MAX_TOPIC_WAIT).as_millis();
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        Classification::Retry(RetryHeaders {
            attempt: attempt + 1,
            not_before_ms: Utc::now().timestamp_millis().saturating_add(wait),
            attempts: record.all_attempts(),
            origin: record.origin(),
            cause,
        })
    }

    fn failures_of(&self, record: &Collected<'_, H::Work>) -> u32 {
        let before = self.waiting.get(&record.partition);
        let same = before.filter(|waiting| waiting.offset == record.offset());
        same.map_or(0, |waiting| waiting.failures)
    }

    /// The partitions of the batch wait where the cut found a record that waits. The others stay as they are.
    pub(super) fn update_waiting(&mut self, starts: &Offsets, batch: &Batch<'_, H::Work>) {
        let mut before = std::mem::take(&mut self.waiting);
        for (partition, (offset, Wait { wait, cause })) in &batch.waits {
            let same = before
                .remove(partition)
                .filter(|waiting| waiting.offset == *offset);
            let failures = same.map_or(0, |waiting| waiting.failures) + u32::from(cause.is_some());
            if let Some(cause) = cause {
                self.metrics.retried(RetryPlace::InPlace, 1);
                self.metrics.blocked(*wait);
                if failures == SHOWN_AFTER {
                    let topic = self.consumer.names().name(partition.topic);
                    tracing::warn!(
                        topic,
                        partition = partition.number,
                        offset,
                        cause,
                        "record failed for now, its partition waits"
                    );
                }
            }
            let waiting = WaitingPartition {
                offset: *offset,
                until: Instant::now() + *wait,
                failures,
                cause: cause.clone(),
            };
            self.waiting.insert(*partition, waiting);
        }
        before.retain(|partition, _| !starts.contains_key(partition));
        self.waiting.extend(before);
    }

    /// The partitions that must not be read now. Forgets those of other members.
    pub(super) fn waiting_now(&mut self) -> BTreeSet<Partition> {
        let assigned = self.consumer.assigned();
        self.waiting
            .retain(|partition, _| assigned.contains(partition));
        let now = Instant::now();
        let waiting = self.waiting.iter();
        waiting
            .filter(|(_, waiting)| now < waiting.until)
            .map(|(partition, _)| *partition)
            .collect()
    }

    /// A partition whose record keeps failing is a condition. A record that is not due yet is none.
    pub(super) fn blocked_by_failures(&self) -> impl Iterator<Item = MemberCondition> {
        self.waiting.iter().filter_map(|(partition, waiting)| {
            let cause = waiting.cause.as_ref()?;
            let place = PartitionOffsets {
                topic: self.consumer.names().name(partition.topic).to_owned(),
                partition: partition.number,
                first: Some(waiting.offset),
                last: None,
            };
            let cause = format!(
                "record failing at {}/{} offset {}, tried again with its partition blocked (RETRY=blocking): {cause}",
                place.topic, place.partition, waiting.offset
            );
            (waiting.failures >= SHOWN_AFTER)
                .then(|| condition(ConditionKind::BatchFailing, cause, vec![place]))
        })
    }
}
