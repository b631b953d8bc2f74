//! The events and rows of a correct order.

use kafka_admin::records::Record;
use shared_events::{
    CorrelationId, EventHeaders, EventId, EventType, OrderId, PaymentId, TraceParent,
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

/// The record of an event, with the content that it should have. The values of a repeated event are alike.
pub fn record(order_id: OrderId, event: EventType, offset: i64) -> Record {
    let cause = question_of(event).map(|question| EventId::of(order_id, question).as_uuid());
    let headers = EventHeaders {
        event_id: EventId::of(order_id, event),
        correlation_id: CorrelationId::random(),
        causation_id: cause.unwrap_or(order_id.as_uuid()),
        traceparent: TraceParent::random(),
    };
    let headers = headers.to_pairs(event.name()).into_iter();
    let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
    // The fields of all events: each type takes its own.
    let value = format!(
        r#"{{"orderId": "{order_id}", "customerId": "cust", "productId": "prod", "quantity": 2, "amount": 10.00,
            "paymentId": "{}", "reason": "a reason", "occurredAt": "1970-01-01T00:00:00Z"}}"#,
        PaymentId::of(order_id)
    );
    Record {
        topic: event.topic().name().to_owned(),
        partition: 0,
        offset,
        timestamp_ms: Some(offset),
        key: Some(order_id.to_string().into_bytes()),
        headers: Some(headers.collect()),
        value: Some(value.into_bytes()),
    }
}
