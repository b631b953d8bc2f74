//! An order as a client sees it.

use shared_events::EventId;
use shared_events::http_api::{Fact, OrderView};

use crate::domain::Order;

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        let status = order.facts.status();
        Self {
            order_id: order.order_id,
            status,
            impossible: order.facts.is_impossible(),
            facts: facts(&order).collect(),
            waiting_for: (!status.is_final()).then(|| status.next_events().to_vec()),
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

/// The facts of an order, in the order of the saga's steps.
pub(super) fn facts(order: &Order) -> impl Iterator<Item = Fact> {
    let order_id = order.order_id;
    order.facts.iter().map(move |(event, at)| Fact {
        event,
        event_id: EventId::of(order_id, event),
        at,
    })
}
