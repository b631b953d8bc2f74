//! What payment-service does with a record: nothing that lasts, so the answer is known as soon as the record is read.

use chrono::{DateTime, Utc};
use kafka_runtime::{Failure, Handler};
use shared_events::{Envelope, Poison};

use crate::domain;
use crate::metrics::Metrics;

/// Answers each order with a payment or a refusal, and each shortage with a refund.
pub struct Payments {
    metrics: Metrics,
}

impl Payments {
    /// A handler that counts in `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl Handler for Payments {
    /// The answer.
    type Work = Envelope;

    fn read(&self, asked: Envelope, _at: DateTime<Utc>) -> Result<Option<Envelope>, Poison> {
        let Envelope { event, headers } = asked;
        Ok(domain::answer(event).map(|event| Envelope::answer(&headers, event)))
    }

    async fn apply(&self, answers: &[&Envelope]) -> Result<Vec<Envelope>, Failure> {
        for answer in answers {
            self.metrics.count(&answer.event);
        }
        Ok(answers.iter().map(|answer| (*answer).clone()).collect())
    }
}
