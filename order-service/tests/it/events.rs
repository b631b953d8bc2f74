//! Events of an order, made by the test.

use chrono::{DateTime, Utc};
use shared_events::{
    CorrelationId, Decoded, Envelope, EventHeaders, EventId, EventType, OrderId, PaymentId,
    TraceParent,
};

pub fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// An event of the order, as the services publish it.
pub fn event(order_id: OrderId, event_type: EventType) -> Envelope {
    let headers = EventHeaders {
        event_id: EventId::of(order_id, event_type),
        correlation_id: CorrelationId::new("corr-1").unwrap(),
        causation_id: order_id.as_uuid(),
        traceparent: TraceParent::random(),
    };
    let headers = headers.to_pairs(event_type.name());
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, Some(value.as_bytes())));
    // The fields of all events: each type takes its own.
    let value = format!(
        r#"{{"orderId": "{order_id}", "customerId": "cust_1", "productId": "prod_123", "quantity": 2, "amount": 250.5,
            "paymentId": "{}", "reason": "because", "occurredAt": "{}"}}"#,
        PaymentId::of(order_id),
        time(0).to_rfc3339()
    );
    let key = order_id.to_string();
    match Envelope::decode(Some(key.as_bytes()), headers, Some(value.as_bytes())).unwrap() {
        Decoded::Event(envelope) => *envelope,
        Decoded::UnknownType(name) => panic!("{name}"),
    }
}
