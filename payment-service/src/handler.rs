//! What payment-service does with a record: it charges or refunds, and computes the response.
//! Nothing is stored.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use kafka_runtime::{Applied, Failure, Handler, Outcome};
use shared_events::gateway_api::TransferAnswer;
use shared_events::{Envelope, EventHeaders, Poison};

use crate::domain::{self, Task};
use crate::gateway::{NoAnswer, Payments};
use crate::metrics::Metrics;

/// Requests to the gateway at once.
const AT_ONCE: usize = 32;

/// No request of a batch begins after this time, so that the batch ends long before the member must
/// poll again (`max.poll.interval.ms`, 60 s).
const BATCH_LIMIT: Duration = Duration::from_secs(15);

/// Responds to `OrderCreated` with `PaymentSucceeded` or `PaymentFailed`, and to
/// `InventoryOutOfStock` with `PaymentRefunded`.
pub struct PaymentHandler<P> {
    payments: P,
    metrics: Metrics,
}

/// A task, with the headers of the event that asks for it.
pub struct Work {
    task: Task,
    headers: EventHeaders,
}

impl<P: Payments> PaymentHandler<P> {
    pub fn new(payments: P, metrics: Metrics) -> Self {
        Self { payments, metrics }
    }

    async fn outcome(&self, work: &Work, started: Instant) -> Outcome {
        if started.elapsed() > BATCH_LIMIT {
            return Outcome::NotTried;
        }
        let transfer = work.task.transfer();
        let answer = match &work.task {
            Task::Charge(_) => self.payments.charge(transfer).await,
            Task::Refund(_) => {
                let refunded = self.payments.refund(transfer).await;
                refunded.map(|()| TransferAnswer::Approved)
            }
        };
        match answer {
            Err(NoAnswer(cause)) => Outcome::FailedForNow(cause),
            Ok(answer) => {
                let response = domain::response(&work.task, answer);
                self.metrics.count(&response);
                Outcome::Done(Envelope::answer(&work.headers, response))
            }
        }
    }
}

impl<P: Payments> Handler for PaymentHandler<P> {
    type Work = Work;

    fn read(&self, envelope: Envelope, _at: DateTime<Utc>) -> Result<Option<Work>, Poison> {
        let Envelope { event, headers } = envelope;
        Ok(domain::task(event).map(|task| Work { task, headers }))
    }

    /// Each record has an outcome of its own: one that gets no answer does not keep the others from
    /// theirs.
    async fn apply(&self, work: &[&Work]) -> Result<Applied, Failure> {
        let started = Instant::now();
        let outcomes: Vec<_> = work.iter().map(|one| self.outcome(one, started)).collect();
        let outcomes = futures::stream::iter(outcomes).buffered(AT_ONCE);
        Ok(Applied::Each(outcomes.collect().await))
    }
}
