//! The task that writes queued orders, one transaction for each batch.

use std::sync::Arc;
use std::time::Duration;

use kafka_runtime::Faults;
use kafka_runtime::faults::{CrashPoint, Protection};
use kafka_runtime::outbox::{Publisher, Waker};
use service_kit::outage_log::OutageLog;
use shared_events::Envelope;
use sqlx::PgPool;
use tokio::time::{Instant, timeout, timeout_at};

use super::batch_write::{self, WrittenBatch};
use super::{OrderQueue, PendingOrder, Submission, SubmitError};
use crate::metrics::Metrics;
use crate::outbox_capacity::OutboxCapacity;

/// Most requests of one transaction. Larger batches are not faster.
const MAX_BATCH: usize = 500;

/// How long a batch of two or more waits for further requests. A single request does not wait:
/// without concurrent requests there is nothing to wait for.
const LINGER: Duration = Duration::from_millis(2);

/// How long one transaction may take. PostgreSQL's own time-outs do not count while its processes
/// are frozen.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes requests from the queue of an [`OrderIntake`](super::OrderIntake) and writes them.
pub struct OrderWriter {
    pub queue: OrderQueue,
    pub outbox_capacity: Arc<OutboxCapacity>,
    pub pool: PgPool,
    /// Woken after each commit: it publishes the events of the outbox.
    pub relay: Waker,
    /// Sends the events after the commit while [`Protection::Outbox`] is off, and loses them on
    /// failure. `None` in a process that obeys no faults.
    pub publisher: Option<Publisher>,
    pub faults: Faults,
    pub metrics: Metrics,
}

impl OrderWriter {
    /// Runs until every intake is dropped and the queue is empty. The delivery guarantee of this
    /// service is the order of the steps here: write orders and events together, commit, publish,
    /// reply.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut outage = OutageLog::default();
        while self.collect(&mut batch).await {
            // Read once: the events of a batch go through the outbox, or they do not.
            let outbox_is_off = !self.faults.keeps(Protection::Outbox);
            let direct = self.publisher.as_ref().filter(|_| outbox_is_off);
            let write = self.write(&batch, direct.is_none());
            let error = match timeout(BATCH_TIMEOUT, write).await {
                Ok(Ok(written)) => {
                    if let Some(outage) = outage.ended() {
                        tracing::info!(after.seconds = outage.as_secs_f64(), "orders are accepted");
                    }
                    self.publish(&written.events, direct).await;
                    reply_to_all(&mut batch, written.submissions);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            if outage.failed(&error) {
                tracing::warn!(error, "orders cannot be accepted");
            }
            self.refuse_all(&mut batch);
        }
    }

    /// Fills the empty batch; false if there will be no further requests.
    async fn collect(&mut self, batch: &mut Vec<PendingOrder>) -> bool {
        if self.queue.0.recv_many(batch, MAX_BATCH).await == 0 {
            return false;
        }
        let deadline = Instant::now() + LINGER;
        while batch.len() > 1 && batch.len() < MAX_BATCH {
            let more = self.queue.0.recv_many(batch, MAX_BATCH - batch.len());
            match timeout_at(deadline, more).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        true
    }

    /// One transaction: all of the batch or nothing of it.
    async fn write(
        &self,
        batch: &[PendingOrder],
        use_outbox: bool,
    ) -> Result<WrittenBatch, sqlx::Error> {
        let timer = self.metrics.accept_seconds.start_timer();
        let mut transaction = self.pool.begin().await?;
        let use_keys = self.faults.keeps(Protection::IdempotencyKey);
        let written = batch_write::write(&mut transaction, batch, use_keys).await?;
        if use_outbox {
            kafka_runtime::outbox::insert(&mut transaction, &written.events).await?;
        }
        self.faults.pass(CrashPoint::AcceptBeforeCommit);
        transaction.commit().await?;
        self.faults.pass(CrashPoint::AcceptAfterCommit);
        timer.observe_duration();
        self.metrics.accept_batch.observe(batch.len() as f64);
        Ok(written)
    }

    async fn publish(&self, events: &[Envelope], direct: Option<&Publisher>) {
        let Some(publisher) = direct else {
            self.outbox_capacity.add(events.len());
            self.relay.wake();
            return;
        };
        if let Err(error) = publisher.publish(events).await {
            tracing::error!(%error, orders = events.len(), "the events of accepted orders are lost: the outbox is off");
        }
    }

    fn refuse_all(&mut self, batch: &mut Vec<PendingOrder>) {
        while let Ok(pending) = self.queue.0.try_recv() {
            batch.push(pending);
        }
        for pending in batch.drain(..) {
            let _ = pending.reply.send(Err(SubmitError::Unavailable));
        }
    }
}

fn reply_to_all(batch: &mut Vec<PendingOrder>, submissions: Vec<Submission>) {
    for (pending, submission) in batch.drain(..).zip(submissions) {
        // An error means that the client has gone away. Its order stays accepted.
        let _ = pending.reply.send(Ok(submission));
    }
}
