//! The metrics of payment-service.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use shared_events::{Event, EventType};

/// Responses by event type. A retried batch is counted again.
#[derive(Debug, Clone)]
pub struct Metrics {
    succeeded: IntCounter,
    failed: IntCounter,
    refunded: IntCounter,
}

impl Metrics {
    /// Registers the counters, all at 0. Fails if they are registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let responses = IntCounterVec::new(
            Opts::new(
                "payment_answers_total",
                "Events that payment-service responded with, by type; a retried batch counts again",
            ),
            &["event_type"],
        )?;
        registry.register(Box::new(responses.clone()))?;
        let counter = |event_type: EventType| responses.with_label_values(&[event_type.name()]);
        Ok(Self {
            succeeded: counter(EventType::PaymentSucceeded),
            failed: counter(EventType::PaymentFailed),
            refunded: counter(EventType::PaymentRefunded),
        })
    }

    pub fn count(&self, response: &Event) {
        match response {
            Event::PaymentSucceeded(_) => self.succeeded.inc(),
            Event::PaymentFailed(_) => self.failed.inc(),
            Event::PaymentRefunded(_) => self.refunded.inc(),
            Event::OrderCreated(_)
            | Event::InventoryReserved(_)
            | Event::InventoryOutOfStock(_) => {}
        }
    }
}
