//! Reading a `POST /orders`: its body, its headers, and what makes two requests the same.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderMap;
use service_kit::Problem;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use shared_events::http_api::{CORRELATION_ID, IDEMPOTENCY_KEY, NewOrder};
use shared_events::{CorrelationId, OutOfBounds, TraceParent};
use uuid::Uuid;

/// The header with the client's span (W3C Trace Context).
const TRACEPARENT: &str = shared_events::headers::TRACEPARENT;

/// The namespace of [`fingerprint`]: a random constant.
const FINGERPRINT_NAMESPACE: Uuid = Uuid::from_u128(0x0f09_9d8c_6d1b_4f0e_9f7e_5b1f_3a52_77c1);

/// Reads the body. A wrong one is answered with 422 and every wrong field: serde's own
/// `Deserialize` of [`NewOrder`] would stop at the first.
pub fn read_order(mut fields: JsonFields) -> Result<NewOrder, Problem> {
    let customer_id = fields.take("customerId");
    let product_id = fields.take("productId");
    let quantity = fields.take("quantity");
    let amount = fields.take("amount");
    let order = customer_id.zip(product_id).zip(quantity.zip(amount));
    let ((customer_id, product_id), (quantity, amount)) = fields.finish(order)?;
    Ok(NewOrder {
        customer_id,
        product_id,
        quantity,
        amount,
    })
}

/// The same for equal orders, however they were written (`1.5`, `1.50`). It is stored with the
/// idempotency key.
pub fn fingerprint(order: &NewOrder) -> Uuid {
    let NewOrder {
        customer_id,
        product_id,
        quantity,
        amount,
    } = order;
    // None of the four can contain a line feed.
    let text = format!("{customer_id}\n{product_id}\n{quantity}\n{amount}");
    Uuid::new_v5(&FINGERPRINT_NAMESPACE, text.as_bytes())
}

/// 1 to 128 visible ASCII characters, chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
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

/// The headers that order-service reads.
#[derive(Debug)]
pub struct RequestHeaders {
    pub idempotency_key: Option<IdempotencyKey>,
    /// The client's, or a new one.
    pub correlation_id: CorrelationId,
    pub traceparent: Option<TraceParent>,
}

impl RequestHeaders {
    /// Reads the headers. Wrong ones are answered with 422 and every wrong header. A wrong
    /// `traceparent` is ignored, as W3C Trace Context requires: proxies write it, not the client.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let idempotency_key = read_header(headers, IDEMPOTENCY_KEY, &mut errors);
        let correlation_id = read_header(headers, CORRELATION_ID, &mut errors);
        let traceparent = read_header(headers, TRACEPARENT, &mut Vec::new());
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(Self {
            idempotency_key,
            correlation_id: correlation_id.unwrap_or_else(CorrelationId::random),
            traceparent,
        })
    }
}

fn read_header<T: FromStr<Err: fmt::Display>>(
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
    // Text that is not visible ASCII is invalid for each of the three types. Parsing the empty text
    // instead makes the type report its limit.
    let parsed = first.to_str().unwrap_or_default().parse();
    parsed
        .map_err(|limit: T::Err| errors.push(FieldError::new(name, limit.to_string())))
        .ok()
}
