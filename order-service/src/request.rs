//! What a client asks for with `POST /orders`.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderMap;
use service_kit::Problem;
use service_kit::body::Fields;
use service_kit::problem::FieldError;
use shared_events::{
    Amount, CorrelationId, CustomerId, OutOfBounds, ProductId, Quantity, TraceParent,
};
use uuid::Uuid;

/// The header that makes a request repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header with the client's name for its request.
pub const CORRELATION_ID: &str = "x-correlation-id";

/// The header with the place of the request in the client's trace (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// The namespace of [`NewOrder::fingerprint`]: any fixed one.
const FINGERPRINTS: Uuid = Uuid::from_u128(0x0f09_9d8c_6d1b_4f0e_9f7e_5b1f_3a52_77c1);

/// An order as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Who orders.
    pub customer_id: CustomerId,
    /// What.
    pub product_id: ProductId,
    /// How many pieces.
    pub quantity: Quantity,
    /// What the whole order costs.
    pub amount: Amount,
}

impl NewOrder {
    /// Reads the body of the request: 422 naming all that is wrong with it.
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let customer_id = fields.take("customerId");
        let product_id = fields.take("productId");
        let quantity = fields.take("quantity");
        let amount = fields.take("amount");
        let order = customer_id.zip(product_id).zip(quantity.zip(amount));
        let ((customer_id, product_id), (quantity, amount)) = fields.finish(order)?;
        Ok(Self {
            customer_id,
            product_id,
            quantity,
            amount,
        })
    }

    /// What stands for the request beside its key: equal orders have the same one, however they were written (`1.5`, `1.50`).
    pub fn fingerprint(&self) -> Uuid {
        let Self {
            customer_id,
            product_id,
            quantity,
            amount,
        } = self;
        // None of the four can contain a line feed.
        let text = format!("{customer_id}\n{product_id}\n{quantity}\n{amount}");
        Uuid::new_v5(&FINGERPRINTS, text.as_bytes())
    }
}

/// A client's name for one request, under which it may be sent again. 1 to 128 visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OutOfBounds("must be 1 to 128 visible ASCII characters"))
        }
    }
}

/// What the headers of the request say.
#[derive(Debug)]
pub struct Names {
    /// If it may be repeated, under which key.
    pub key: Option<IdempotencyKey>,
    /// The client's name for it, or a new one.
    pub correlation_id: CorrelationId,
    /// The client's place in a trace, if it has one.
    pub traceparent: Option<TraceParent>,
}

impl Names {
    /// Reads the headers: 422 naming all that are wrong. A wrong `traceparent` is passed over, as its standard wants it: it is
    /// written by machinery on the way, not by who asks.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let key = take(headers, IDEMPOTENCY_KEY, &mut errors);
        let correlation_id = take(headers, CORRELATION_ID, &mut errors);
        let traceparent = take(headers, TRACEPARENT, &mut Vec::new());
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(Self {
            key,
            correlation_id: correlation_id.unwrap_or_else(CorrelationId::random),
            traceparent,
        })
    }
}

fn take<T: FromStr<Err: fmt::Display>>(
    headers: &HeaderMap,
    name: &str,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        errors.push(FieldError::new(name, "must be given once"));
        return None;
    }
    // What is not visible ASCII is wrong for every one of them; an empty text lets the type say so, with its limit.
    let parsed = first.to_str().unwrap_or_default().parse();
    parsed
        .map_err(|limit: T::Err| errors.push(FieldError::new(name, limit.to_string())))
        .ok()
}
