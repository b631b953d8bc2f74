//! An order: its facts, and the data that came with them.

use chrono::{DateTime, Utc};
use shared_events::{
    Amount, CorrelationId, CustomerId, Envelope, Event, OrderId, PaymentId, ProductId, Quantity,
};

use super::Facts;

/// All that is known of one order. Only the id is always known: each event brings a part of the
/// rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub order_id: OrderId,
    pub facts: Facts,
    pub customer_id: Option<CustomerId>,
    pub product_id: Option<ProductId>,
    pub quantity: Option<Quantity>,
    /// The price of the whole order.
    pub amount: Option<Amount>,
    pub correlation_id: Option<CorrelationId>,
    pub payment_id: Option<PaymentId>,
    /// Why the order failed or was cancelled.
    pub failure_reason: Option<String>,
}

impl Order {
    /// What one event says about its order. `at` is the time of the record that carried the event.
    pub fn from_event(envelope: Envelope, at: DateTime<Utc>) -> Self {
        let Envelope { event, headers } = envelope;
        let mut order = Self {
            order_id: event.order_id(),
            facts: Facts::from_event(event.event_type(), at),
            customer_id: None,
            product_id: None,
            quantity: None,
            amount: None,
            correlation_id: Some(headers.correlation_id),
            payment_id: None,
            failure_reason: None,
        };
        match event {
            Event::OrderCreated(event) => {
                order.customer_id = Some(event.customer_id);
                order.set_product(event.product_id, event.quantity);
                order.amount = Some(event.amount);
            }
            Event::PaymentSucceeded(event) => {
                order.set_payment(event.payment_id, event.amount);
                order.set_product(event.product_id, event.quantity);
            }
            Event::PaymentFailed(event) => {
                order.amount = Some(event.amount);
                order.failure_reason = Some(event.reason);
            }
            Event::InventoryReserved(event) => order.set_product(event.product_id, event.quantity),
            Event::InventoryOutOfStock(event) => {
                order.set_payment(event.payment_id, event.amount);
                order.set_product(event.product_id, event.quantity);
                order.failure_reason = Some(event.reason);
            }
            Event::PaymentRefunded(event) => {
                order.set_payment(event.payment_id, event.amount);
                order.failure_reason = Some(event.reason);
            }
        }
        order
    }

    fn set_product(&mut self, product: ProductId, quantity: Quantity) {
        self.product_id = Some(product);
        self.quantity = Some(quantity);
    }

    fn set_payment(&mut self, payment: PaymentId, amount: Amount) {
        self.payment_id = Some(payment);
        self.amount = Some(amount);
    }

    /// Adds what another event says about the same order. What is already known stays.
    pub fn merge(&mut self, other: Self) {
        fn fill<T>(known: &mut Option<T>, other: Option<T>) {
            if known.is_none() {
                *known = other;
            }
        }
        self.facts.merge(&other.facts);
        fill(&mut self.customer_id, other.customer_id);
        fill(&mut self.product_id, other.product_id);
        fill(&mut self.quantity, other.quantity);
        fill(&mut self.amount, other.amount);
        fill(&mut self.correlation_id, other.correlation_id);
        fill(&mut self.payment_id, other.payment_id);
        fill(&mut self.failure_reason, other.failure_reason);
    }
}
