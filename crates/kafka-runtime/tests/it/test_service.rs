//! A service whose work a test can observe and disturb.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_runtime::{Applied, Failure, Handler};
use shared_events::{
    Amount, CorrelationId, CustomerId, Envelope, Event, OrderCreated, OrderId, PaymentId,
    PaymentSucceeded, Poison, PoisonClass, ProductId, Quantity, TraceParent,
};

/// Answers each `OrderCreated` with a `PaymentSucceeded`, unless the test or the product asks for a failure.
#[derive(Clone, Default)]
pub struct TestService {
    pub applied: Arc<Mutex<Vec<OrderId>>>,
    pub fail_next: Arc<AtomicU32>,
    pub read: Arc<AtomicU32>,
    pub read_pause_us: Arc<AtomicU32>,
    /// `read` blocks while this is set.
    pub read_waits: Arc<AtomicBool>,
}

/// Products for which the service fails.
pub const PANICS_WHEN_READ: &str = "panics_when_read";
pub const PANICS_WHEN_APPLIED: &str = "panics_when_applied";
pub const REFUSED_BY_RULE: &str = "refused_by_rule";
pub const REFUSED_BY_DATABASE: &str = "refused_by_database";

impl Handler for TestService {
    type Work = Envelope;

    fn read(&self, envelope: Envelope, _: DateTime<Utc>) -> Result<Option<Envelope>, Poison> {
        self.read.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(
            self.read_pause_us.load(Ordering::Relaxed).into(),
        ));
        while self.read_waits.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let Event::OrderCreated(order) = &envelope.event else {
            return Ok(None);
        };
        match order.product_id.as_str() {
            PANICS_WHEN_READ => panic!("asked to panic"),
            REFUSED_BY_RULE => Err(Poison::new(PoisonClass::DomainRule, "asked to refuse")),
            _ => Ok(Some(envelope)),
        }
    }

    async fn apply(&self, work: &[&Envelope]) -> Result<Applied, Failure> {
        let asked_to_fail =
            self.fail_next
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
        if asked_to_fail.is_ok() {
            return Err(Failure::Retryable {
                operation: "a test",
                source: "a failure on purpose".into(),
            });
        }
        let mut answers = Vec::new();
        for envelope in work {
            let Event::OrderCreated(order) = &envelope.event else {
                continue;
            };
            match order.product_id.as_str() {
                PANICS_WHEN_APPLIED => panic!("asked to panic"),
                REFUSED_BY_DATABASE => {
                    return Err(Failure::BadValue {
                        operation: "a test",
                        source: "asked to refuse".into(),
                    });
                }
                _ => answers.push(Envelope::answer(&envelope.headers, paid(order))),
            }
        }
        self.applied
            .lock()
            .unwrap()
            .extend(work.iter().map(|envelope| envelope.event.order_id()));
        Ok(answers.into())
    }
}

fn paid(order: &OrderCreated) -> PaymentSucceeded {
    PaymentSucceeded {
        order_id: order.order_id,
        payment_id: PaymentId::of(order.order_id),
        product_id: order.product_id.clone(),
        quantity: order.quantity,
        amount: order.amount,
        occurred_at: order.occurred_at,
    }
}

pub fn order(product: &str) -> Envelope {
    let event = OrderCreated {
        order_id: OrderId::now(),
        customer_id: CustomerId::new("cust").unwrap(),
        product_id: ProductId::new(product).unwrap(),
        quantity: Quantity::new(1).unwrap(),
        amount: "10.00".parse::<Amount>().unwrap(),
        occurred_at: Utc::now(),
    };
    Envelope::first(event, CorrelationId::random(), TraceParent::random())
}

pub fn orders(count: usize) -> Vec<Envelope> {
    (0..count).map(|_| order("prod")).collect()
}
