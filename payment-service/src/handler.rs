//! What payment-service does with a record: it computes the response. Nothing is stored.

use chrono::{DateTime, Utc};
use kafka_runtime::{Failure, Handler};
use shared_events::{Envelope, Poison};

use crate::domain;
use crate::metrics::Metrics;

/// Responds to `OrderCreated` with `PaymentSucceeded` or `PaymentFailed`, and to
/// `InventoryOutOfStock` with `PaymentRefunded`.
pub struct PaymentHandler {
    metrics: Metrics,
}

impl PaymentHandler {
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl Handler for PaymentHandler {
    /// The response, which [`domain::respond_to`] needs no database to know.
    type Work = Envelope;

    fn read(&self, envelope: Envelope, _at: DateTime<Utc>) -> Result<Option<Envelope>, Poison> {
        let Envelope { event, headers } = envelope;
        Ok(domain::respond_to(event).map(|event| Envelope::answer(&headers, event)))
    }

    async fn apply(&self, responses: &[&Envelope]) -> Result<Vec<Envelope>, Failure> {
        for response in responses {
            self.metrics.count(&response.event);
        }
        let responses = responses.iter().copied();
        Ok(responses.cloned().collect())
    }
}
