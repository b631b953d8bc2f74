//! Events of an order, made by the test.

use chrono::{DateTime, Utc};
use shared_events::{
    CorrelationId, Envelope, Event, EventType, InventoryOutOfStock, InventoryReserved,
    OrderCreated, OrderId, PaymentFailed, PaymentId, PaymentRefunded, PaymentSucceeded,
    TraceParent,
};

pub fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// An event of the order, as the services publish it.
pub fn event(order_id: OrderId, event_type: EventType) -> Envelope {
    let (payment_id, occurred_at) = (PaymentId::of(order_id), time(0));
    let (customer_id, product_id) = ("cust_1".parse().unwrap(), "prod_123".parse().unwrap());
    let (quantity, amount) = (serde_json::from_str("2").unwrap(), "250.5".parse().unwrap());
    let reason = "because".to_owned();
    let event: Event = match event_type {
        EventType::OrderCreated => OrderCreated {
            order_id,
            customer_id,
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
    Envelope::first(
        event,
        CorrelationId::new("corr-1").unwrap(),
        TraceParent::random(),
    )
}
