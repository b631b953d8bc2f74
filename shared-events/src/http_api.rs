//! The HTTP API of order-service: the bodies and headers of its requests and responses.
//!
//! order-service and all its clients (the load generator, the command, benchmarks, tests) use these
//! types. A client that does not follow a change of the API therefore does not compile.
//!
//! * `POST /orders` takes a [`NewOrder`] and responds 202 with an [`AcceptedOrder`].
//! * `GET /orders/{id}` responds with an [`OrderView`], `GET /orders` with an [`OrderPage`], the
//!   newest order first. With `stuck=true` the page has only orders that are stuck: the saga has
//!   not ended, and its latest fact is older than 60 s. The oldest order is first. `status`,
//!   `customerId`, `limit` and `after` filter and divide both lists alike.
//! * Every error is a [`ProblemDocument`].

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Amount, CorrelationId, CustomerId, EventId, EventType, OrderCreated, OrderId, OutOfBounds,
    PaymentId, ProductId, Quantity,
};

/// Request header: requests with the same key create one order. 1 to 128 visible ASCII characters.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Request and response header: the id that the client gives to the request. 1 to 128 visible ASCII
/// characters. order-service creates an id if the header is missing.
pub const CORRELATION_ID: &str = "x-correlation-id";

/// Response header: `true` if a request with this idempotency key was accepted before.
pub const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";

/// The media type of a [`ProblemDocument`].
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// The body of `POST /orders`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// The customer.
    pub customer_id: CustomerId,
    /// The product.
    pub product_id: ProductId,
    /// The number of pieces.
    pub quantity: Quantity,
    /// The price of the whole order.
    pub amount: Amount,
}

/// The response to an accepted order. The order is in the database, and its saga has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedOrder {
    /// The new order, or the earlier one if the idempotency key was used before.
    pub order_id: OrderId,
    /// The id in every event and every log line of the saga.
    pub correlation_id: CorrelationId,
    /// Always `PENDING`.
    pub status: OrderStatus,
}

/// The status of an order: a function of its facts, defined in the domain of order-service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// Accepted, not yet charged.
    Pending,
    /// Charged, stock not yet reserved.
    Paid,
    /// Out of stock, money not yet refunded.
    Refunding,
    /// Charged and reserved. Final.
    Confirmed,
    /// Out of stock and refunded. Final.
    Cancelled,
    /// Payment declined; nothing was charged. Final.
    Failed,
}

/// An order with its facts. Facts arrive in any order, so every field but the id is null until the
/// first event that contains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    /// The order.
    pub order_id: OrderId,
    /// The status that follows from the facts.
    pub status: OrderStatus,
    /// The customer.
    pub customer_id: Option<CustomerId>,
    /// The product.
    pub product_id: Option<ProductId>,
    /// The number of pieces.
    pub quantity: Option<Quantity>,
    /// The price of the whole order.
    pub amount: Option<Amount>,
    /// The id that the client gave to the request.
    pub correlation_id: Option<CorrelationId>,
    /// The payment, once the customer was charged.
    pub payment_id: Option<PaymentId>,
    /// The reason of a failed or cancelled order.
    pub failure_reason: Option<String>,
    /// Whether no saga can produce these facts together, which is a fault of a service.
    pub impossible: bool,
    /// The facts, in the order of the saga's steps.
    pub facts: Vec<Fact>,
    /// The event types one of which continues the saga; null when the saga has ended.
    pub waiting_for: Option<Vec<EventType>>,
    /// The time of the latest fact; null when the saga has ended.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// A fact of an order: the first arrival of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// The type of the event.
    pub event: EventType,
    /// The id of the event.
    pub event_id: EventId,
    /// The timestamp of the first record with the event.
    pub at: DateTime<Utc>,
}

/// A page of `GET /orders`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPage {
    /// At most `limit` orders (1 to 200, default 50). A page of stuck orders may have fewer, or
    /// none, although it is not the last one.
    pub orders: Vec<OrderView>,
    /// The parameter `after` of the next page; null on the last page.
    pub next: Option<OrderId>,
}

/// An error of any service: a problem document (RFC 9457). Its `Display` is one line for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// Always `about:blank`: the problem has no other type than its status code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The name of the status code.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// Every wrong field, header or parameter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// The error of one field, header or parameter of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The name of the field, header or parameter.
    pub field: String,
    /// What is wrong, with the limit: "must be a whole number from 1 to 100".
    pub detail: String,
}

impl FieldError {
    /// The error `detail` of the field `field`.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}

impl From<OrderCreated> for NewOrder {
    fn from(order: OrderCreated) -> Self {
        Self {
            customer_id: order.customer_id,
            product_id: order.product_id,
            quantity: order.quantity,
            amount: order.amount,
        }
    }
}

impl OrderStatus {
    /// All statuses, the final ones last.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Paid,
        Self::Refunding,
        Self::Confirmed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The name in JSON and in order-service's database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Refunding => "REFUNDING",
            Self::Confirmed => "CONFIRMED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// The event types one of which must be next; empty for a final status.
    pub const fn next_events(self) -> &'static [EventType] {
        match self {
            Self::Pending => &[EventType::PaymentSucceeded, EventType::PaymentFailed],
            Self::Paid => &[EventType::InventoryReserved, EventType::InventoryOutOfStock],
            Self::Refunding => &[EventType::PaymentRefunded],
            Self::Confirmed | Self::Cancelled | Self::Failed => &[],
        }
    }

    /// Whether the saga has ended.
    pub const fn is_final(self) -> bool {
        self.next_events().is_empty()
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for OrderStatus {
    type Err = OutOfBounds;

    fn from_str(name: &str) -> Result<Self, OutOfBounds> {
        let known = Self::ALL.into_iter().find(|status| status.name() == name);
        known.ok_or(OutOfBounds(
            "must be PENDING, PAID, REFUNDING, CONFIRMED, CANCELLED or FAILED",
        ))
    }
}

impl fmt::Display for ProblemDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.detail)?;
        for (number, error) in self.errors.iter().enumerate() {
            let separator = if number == 0 { ": " } else { "; " };
            write!(f, "{separator}{} {}", error.field, error.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_same_name_in_json_and_in_text() {
        for status in OrderStatus::ALL {
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("\"{status}\""));
            assert_eq!(status.name().parse(), Ok(status));
        }
    }

    #[test]
    fn an_order_keeps_the_two_decimals_of_its_amount_on_the_wire() {
        let json = r#"{"customerId":"cust_1","productId":"prod_1","quantity":2,"amount":250.50}"#;
        let order: NewOrder = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&order).unwrap(), json);
    }

    #[test]
    fn an_order_known_only_by_its_id_can_be_read() {
        let id = OrderId::now();
        let json = format!(
            r#"{{"orderId":"{id}","status":"PENDING","customerId":null,"productId":null,"quantity":null,"amount":null,"correlationId":null,"paymentId":null,"failureReason":null,"impossible":false,"facts":[],"waitingFor":["PaymentSucceeded","PaymentFailed"],"waitingSince":null}}"#
        );
        let order: OrderView = serde_json::from_str(&json).unwrap();
        assert_eq!(
            order.waiting_for.as_deref(),
            Some(order.status.next_events())
        );
        assert_eq!(serde_json::to_string(&order).unwrap(), json);
    }

    #[test]
    fn a_problem_in_one_line_names_every_wrong_field() {
        let json = r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"the order is not valid",
            "errors":[{"field":"quantity","detail":"must be a whole number"},{"field":"amount","detail":"is missing"}]}"#;
        let problem: ProblemDocument = serde_json::from_str(json).unwrap();
        assert_eq!(
            problem.to_string(),
            "422 the order is not valid: quantity must be a whole number; amount is missing"
        );
    }
}
