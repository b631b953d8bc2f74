//! What payment-service counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use shared_events::{Event, EventType};

/// Answers by kind. A batch that comes again is counted again.
#[derive(Debug, Clone)]
pub struct Metrics {
    succeeded: IntCounter,
    failed: IntCounter,
    refunded: IntCounter,
}

impl Metrics {
    /// Registers the counters, all at 0. Fails if the registry has them already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let answers = IntCounterVec::new(
            Opts::new(
                "payment_answers_total",
                "Events that payment-service answered with, by type",
            ),
            &["event_type"],
        )?;
        registry.register(Box::new(answers.clone()))?;
        let counter = |event_type: EventType| answers.with_label_values(&[event_type.name()]);
        Ok(Self {
            succeeded: counter(EventType::PaymentSucceeded),
            failed: counter(EventType::PaymentFailed),
            refunded: counter(EventType::PaymentRefunded),
        })
    }

    /// Counts an answer.
    pub fn count(&self, answer: &Event) {
        match answer {
            Event::PaymentSucceeded(_) => self.succeeded.inc(),
            Event::PaymentFailed(_) => self.failed.inc(),
            Event::PaymentRefunded(_) => self.refunded.inc(),
            Event::OrderCreated(_)
            | Event::InventoryReserved(_)
            | Event::InventoryOutOfStock(_) => {}
        }
    }
}
