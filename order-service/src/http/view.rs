//! An order as a client sees it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared_events::{
    Amount, CorrelationId, CustomerId, EventId, EventType, OrderId, PaymentId, ProductId, Quantity,
};

use crate::domain::Order;

/// An order with its story.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderView {
    order_id: OrderId,
    status: &'static str,
    customer_id: Option<CustomerId>,
    product_id: Option<ProductId>,
    quantity: Option<Quantity>,
    amount: Option<Amount>,
    correlation_id: Option<CorrelationId>,
    payment_id: Option<PaymentId>,
    failure_reason: Option<String>,
    /// True if these facts cannot all be true: a fault of the shop.
    impossible: bool,
    facts: Vec<FactView>,
    /// The events of which one must come next; null at an end.
    waiting_for: Option<Vec<&'static str>>,
    /// Since when nothing has come; null at an end.
    waiting_since: Option<DateTime<Utc>>,
}

/// A fact of the story.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FactView {
    /// The event that told it.
    pub(super) event: &'static str,
    /// The id of that event, whoever told it and how often.
    pub(super) event_id: EventId,
    /// When it was told first.
    pub(super) at: DateTime<Utc>,
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        let status = order.facts.status();
        let waits_for: Vec<_> = status
            .waits_for()
            .iter()
            .map(|event| event.name())
            .collect();
        Self {
            order_id: order.order_id,
            status: status.name(),
            impossible: order.facts.impossible(),
            facts: FactView::all(&order).collect(),
            waiting_for: (!status.is_end()).then_some(waits_for),
            waiting_since: order.facts.waiting_since(),
            customer_id: order.customer_id,
            product_id: order.product_id,
            quantity: order.quantity,
            amount: order.amount,
            correlation_id: order.correlation_id,
            payment_id: order.payment_id,
            failure_reason: order.failure_reason,
        }
    }
}

impl FactView {
    /// The facts of an order, in the order of the story.
    pub(super) fn all(order: &Order) -> impl Iterator<Item = Self> {
        let id = |event: EventType| EventId::of(order.order_id, event);
        order.facts.told().map(move |(event, at)| Self {
            event: event.name(),
            event_id: id(event),
            at,
        })
    }
}
