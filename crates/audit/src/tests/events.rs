//! The events and rows of a correct order.

use chrono::DateTime;
use shared_events::{
    CorrelationId, Envelope, Event, EventHeaders, EventId, EventType, InventoryOutOfStock,
    InventoryReserved, OrderCreated, OrderId, PaymentFailed, PaymentId, PaymentRefunded,
    PaymentSucceeded, Quantity, TraceParent,
};

use crate::item::{Goods, OrderRow, hash};
use crate::order_history::{question_of, status_of};

const AMOUNT_CENTS: u32 = 1_000;

pub fn row(facts: u8) -> OrderRow {
    OrderRow {
        facts,
        status: status_of(facts),
        ordered: Some((goods(), AMOUNT_CENTS)),
        payment_ok: true,
    }
}

pub fn goods() -> Goods {
    Goods {
        product: hash("prod"),
        quantity: 2,
    }
}

pub fn envelope(order_id: OrderId, event: EventType) -> Envelope {
    let (product_id, quantity) = ("prod".parse().unwrap(), Quantity::new(2).unwrap());
    let (payment_id, amount) = (PaymentId::of(order_id), "10.00".parse().unwrap());
    // A constant, so that a repeated event has the same bytes.
    let occurred_at = DateTime::UNIX_EPOCH;
    let reason = "a reason".to_owned();
    let event: Event = match event {
        EventType::OrderCreated => OrderCreated {
            order_id,
            customer_id: "cust".parse().unwrap(),
            product_id,
            quantity,
            amount,
            occurred_at,
        }
        .into(),
        EventType::PaymentSucceeded => PaymentSucceeded {
            order_id,
            payment_id,
            product_id,
            quantity,
            amount,
            occurred_at,
        }
        .into(),
        EventType::PaymentFailed => PaymentFailed {
            order_id,
            amount,
            reason,
            occurred_at,
        }
        .into(),
        EventType::InventoryReserved => InventoryReserved {
            order_id,
            product_id,
            quantity,
            occurred_at,
        }
        .into(),
        EventType::InventoryOutOfStock => InventoryOutOfStock {
            order_id,
            payment_id,
            product_id,
            quantity,
            amount,
            reason,
            occurred_at,
        }
        .into(),
        EventType::PaymentRefunded => PaymentRefunded {
            order_id,
            payment_id,
            amount,
            reason,
            occurred_at,
        }
        .into(),
    };
    let event_type = event.event_type();
    let cause = question_of(event_type).map(|question| EventId::of(order_id, question).as_uuid());
    Envelope {
        headers: EventHeaders {
            event_id: event.event_id(),
            correlation_id: CorrelationId::random(),
            causation_id: cause.unwrap_or(order_id.as_uuid()),
            traceparent: TraceParent::random(),
        },
        event,
    }
}
