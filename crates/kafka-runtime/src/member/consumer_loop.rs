//! The consumer loop: the delivery guarantee of a member, in [`ConsumerLoop::run_once`].
//!
//! There is **one failure path** for everything that is not poison: nothing is committed, each partition of the batch is
//! sought back to the batch's first offset, a short wait, the next run. So the member stays in its group for as long as an
//! outage lasts. A consumer that only logs a failure and goes on skips the batch for ever.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use service_kit::outage_log::OutageLog;
use service_kit::readiness::Component;
use shared_events::Envelope;
use shared_events::member_api::{LostRecords, MemberCondition};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::batch_committer::{BatchCommitter, BatchOutput};
use crate::broker_health::BrokerHealth;
use crate::controls::Controls;
use crate::faults::CrashPoint;
use crate::handler::{Failure, Handler};
use crate::librdkafka::{ResilientConsumer, positions};
use crate::member::batch_failure::BatchFailure;
use crate::member::batch_telemetry::BatchTelemetry;
use crate::member::classify::{Classification, classify, classify_retried};
use crate::member::collect::{Batch, Collected, collect};
use crate::member::loss_watch::LossWatch;
use crate::member::pause_state::{Blocked, Halt};
use crate::member::poison_policy::{BatchCut, RecordRef};
use crate::member::retries::WaitingPartition;
use crate::member::threads::{MEMBER, READER, catch_panic, panicked};
use crate::member::{MemberError, MemberSettings};
use crate::metrics::MemberMetrics;
use crate::topic_partitions::{Offsets, Partition};
use crate::topic_watch::TopicWatch;

/// A member between two batches.
pub(crate) struct ConsumerLoop<H> {
    pub(super) settings: MemberSettings,
    pub(super) handler: H,
    pub(super) group: String,
    pub(super) consumer: ResilientConsumer,
    pub(super) health: BrokerHealth,
    pub(super) committer: BatchCommitter,
    pub(super) controls: Controls,
    pub(super) topic_watch: TopicWatch,
    pub(super) stop: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) metrics: MemberMetrics,
    pub(super) component: Component,
    /// Why the member takes no records until it is resumed.
    pub(super) halted: Option<Halt>,
    /// How many resumes the loop has handled.
    pub(super) resumes: u64,
    /// Poison records in a row at the end of what is committed.
    pub(super) poison_run: u32,
    /// Failures in a row, and the last one.
    pub(super) failures: usize,
    pub(super) failure: Option<BatchFailure>,
    pub(super) outage: OutageLog,
    /// What keeps the member from its work, as it was last reported.
    pub(super) conditions: Vec<MemberCondition>,
    /// The poison record before which each partition is blocked (`POISON_POLICY=block`).
    pub(super) blocked: BTreeMap<Partition, Blocked>,
    /// The partitions whose next record waits: it failed for now, or is not due yet.
    pub(super) waiting: BTreeMap<Partition, WaitingPartition>,
    /// Finds records that were deleted before they were consumed, and those that it has found.
    pub(super) loss_watch: LossWatch,
    pub(super) records_lost: BTreeMap<Partition, LostRecords>,
    /// The client has skipped a record set that it cannot decode.
    pub(super) undecodable: bool,
    /// The assigned partitions that did not exist, for which the client was replaced.
    pub(super) replaced_for: Vec<Partition>,
}

impl<H: Handler> ConsumerLoop<H> {
    #[allow(
        clippy::too_many_arguments,
        reason = "called once, by Member::start, with what a service provides"
    )]
    pub(crate) fn new(
        settings: MemberSettings,
        handler: H,
        consumer: ResilientConsumer,
        health: BrokerHealth,
        controls: Controls,
        topic_watch: TopicWatch,
        stop: CancellationToken,
        metrics: MemberMetrics,
        component: Component,
    ) -> Self {
        let runtime = Handle::current();
        let committer = BatchCommitter::new(
            settings.service,
            settings.kafka.clone(),
            settings.consumer.delivery,
            settings.faults.clone(),
            health.clone(),
            runtime.clone(),
        );
        Self {
            group: settings.kafka.name_prefix.group(settings.service),
            committer,
            settings,
            handler,
            consumer,
            health,
            controls,
            topic_watch,
            stop,
            runtime,
            metrics,
            component,
            halted: None,
            resumes: 0,
            poison_run: 0,
            failures: 0,
            failure: None,
            outage: OutageLog::default(),
            conditions: Vec::new(),
            blocked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            loss_watch: LossWatch::default(),
            records_lost: BTreeMap::new(),
            undecodable: false,
            replaced_for: Vec::new(),
        }
    }

    /// Runs until it is asked to stop, then leaves the group. Whatever ends the loop is reported before the client is closed,
    /// since closing may hang.
    pub(crate) fn run(
        mut self,
        reader_panic: &OnceLock<String>,
        end: oneshot::Sender<Result<(), MemberError>>,
    ) {
        self.metrics.running.set(1);
        let result = match catch_panic(|| self.run_until_stopped()) {
            Err(panic) => Err(panicked(MEMBER, panic)),
            Ok(result) => match reader_panic.get() {
                Some(panic) => Err(panicked(READER, panic)),
                None => result,
            },
        };
        self.metrics.running.set(0);
        // The reader of the control topic ends with the member.
        self.stop.cancel();
        self.report_end(result.as_ref().err());
        let Self { consumer, .. } = self;
        match result {
            Ok(()) => consumer.leave_group(),
            Err(_) => consumer.close(),
        }
        // It fails if the member was dropped, which is allowed.
        let _ = end.send(result);
    }

    fn run_until_stopped(&mut self) -> Result<(), MemberError> {
        while !self.stop.is_cancelled() {
            let state = self.replace_if_broken()?;
            self.count_failure_if(state);
            let paused = self.apply_pause_state();
            self.report_status(paused);
            self.metrics.tick();
            self.run_once()?;
            self.halt_if_undecodable()?;
        }
        Ok(())
    }

    /// The delivery guarantee, from top to bottom: each record takes effect once, however often it is applied, and with
    /// `exactly-once` consumers see its events once.
    ///
    /// The comments say what happens when the process dies at that line. *Redelivered* means: the next owner of the partitions
    /// reads them from the committed offsets, 4–6 s after the death, or about 1 s after a restart with static membership.
    fn run_once(&mut self) -> Result<(), MemberError> {
        // One batch has one configuration, so it is read here and nowhere else.
        let config = self.controls.effective();
        // The records of the batch borrow from this client, so it must live as long as they do.
        let client = self.consumer.client();

        // 1. Collect a batch and classify each record: work, skipped or poison.
        let max_records = config.batch_max as usize;
        let mut batch = collect(
            &client,
            max_records,
            &self.settings.faults,
            |topic, message| match self.settings.service.retry_topic() == Some(topic) {
                true => classify_retried(&self.handler, &self.group, message),
                false => (classify(&self.handler, &self.group, message), None),
            },
        )?;
        self.on_collected(&batch);
        if batch.records.is_empty() {
            return self.on_idle();
        }
        // Dies here: nothing has happened. The batch is redelivered.
        self.settings.faults.pass(CrashPoint::BatchCollected);
        self.controls.set_applied(&config);
        let mut telemetry = BatchTelemetry::start(&self.settings, &self.group, &batch);
        if !self.simulate_work(&batch, config.processing_time_ms) {
            return Ok(()); // Asked to stop: nothing has happened, and the batch is redelivered.
        }
        let range = batch.range();

        // 2. Apply the batch. Normally one call of the handler and one database transaction; several while a poison record is
        //    searched. Dies in this call: none, some or all records are in the database. The batch is redelivered and applied
        //    again.
        telemetry.apply_started();
        let (cut, events) = match self.apply_batch(&mut batch) {
            Ok(applied) => applied,
            Err(failure) => return self.retry_batch(&range, failure.into(), telemetry),
        };
        // Dies here: the database has the batch, Kafka has nothing. The batch is redelivered and applied again; an idempotent
        // handler writes nothing new and returns the same events.
        self.settings.faults.pass(CrashPoint::EffectCommitted);
        telemetry.apply_ended();

        // 3. Produce events, dead letters and retries, and commit the offsets with them.
        let offsets = batch.cut(&cut);
        let (dead_letters, retries) = (batch.dead_letters(&self.group), batch.retries());
        let output = BatchOutput {
            events: &events,
            dead_letters: &dead_letters,
            retries: &retries,
            offsets: self.consumer.names().offset_list(&offsets),
        };
        // Dies in this call: a batch without output commits its offsets or does not. With output and `exactly-once`, the broker
        // commits the whole transaction or aborts it; aborted, its output is invisible and the batch is redelivered. With
        // `at-least-once` the output may be published and the offsets not: redelivered, the output is published again.
        if let Err(error) = self.committer.commit(&self.consumer, &output) {
            return self.retry_batch(&range, error.into(), telemetry);
        }
        // Dies from here on: everything is committed. The next owner begins after the records that were kept.
        self.settings.faults.pass(CrashPoint::BatchCommitted);
        telemetry.committed(&batch, &events);
        self.on_committed(&range.starts, &batch, &cut, offsets, telemetry)
    }

    /// Applies what the poison policy keeps of the batch, and marks records as poison that only the handler's write shows.
    ///
    /// Each newly found poison record may change what is kept, so the batch is then cut and applied again. The contract of
    /// [`Handler::apply`] allows that at any time.
    fn apply_batch(
        &self,
        batch: &mut Batch<'_, H::Work>,
    ) -> Result<(BatchCut, Vec<Envelope>), Failure> {
        loop {
            let cut = self.cut(&batch.records);
            let kept = batch.records.iter().enumerate();
            let kept = kept.filter(|(_, record)| cut.keeps(&record.record_ref()));
            let (indices, works): (Vec<usize>, Vec<&H::Work>) = kept
                .filter_map(|(index, record)| Some((index, record.work()?)))
                .unzip();
            let applied = self.apply_with_retries(&works)?;
            if applied.poison.is_empty() {
                self.mark_failed(batch, &indices, applied.failed);
                return Ok(self.cut_again(batch, cut, &indices, applied.events));
            }
            if self.stop.is_cancelled() {
                // A drain time-out shuts the runtime down, and the panics that follow are not the record's fault.
                return Err(Failure::Retryable {
                    operation: "applying a batch",
                    source: "the member is stopping".into(),
                });
            }
            for (place, poison) in applied.poison {
                let record = indices
                    .get(place)
                    .and_then(|index| batch.records.get_mut(*index));
                if let Some(record) = record {
                    record.classification = Classification::Poison(poison);
                }
            }
        }
    }

    /// What the poison policy keeps of these records.
    pub(super) fn cut(&self, records: &[Collected<'_, H::Work>]) -> BatchCut {
        let refs: Vec<RecordRef> = records.iter().map(Collected::record_ref).collect();
        self.cut_refs(&refs)
    }

    fn on_collected(&mut self, batch: &Batch<'_, H::Work>) {
        self.undecodable = batch.undecodable;
        let assigned = self.consumer.assigned();
        self.metrics.assigned.set(assigned.len() as i64);
        self.blocked
            .retain(|partition, _| assigned.contains(partition));
        self.watch_losses(batch, &assigned);
    }

    /// Without records: creates the producer in advance, and commits a position that is ahead of the committed offset.
    fn on_idle(&mut self) -> Result<(), MemberError> {
        let assigned = self.consumer.assigned();
        let is_retried = self
            .failure
            .as_ref()
            .is_some_and(|failed| failed.is_retried(&assigned));
        // Without partitions nothing is produced, so the producer does not matter.
        if !is_retried && (assigned.is_empty() || self.committer.prepare().is_ok()) {
            self.no_failure();
        }
        let positions = positions(&self.consumer.client());
        self.loss_watch.advance(&positions);
        let state = self.consumer.commit_idle_position(positions)?;
        self.count_failure_if(state);
        Ok(())
    }

    pub(super) fn seek(&mut self, offsets: &Offsets) -> Result<(), MemberError> {
        self.loss_watch.sought(offsets);
        let state = self.consumer.seek(offsets)?;
        self.count_failure_if(state);
        Ok(())
    }
}
