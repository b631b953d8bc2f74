//! The event of an order, cheaply: what is the same in every order of a load is written once.
//!
//! [`Envelope`] writes an event in about twenty pieces of memory of its own, which at hundreds of thousands a second is most of
//! the work. Here a sample is written by [`Envelope`] itself and taken apart around the ids in it; every event is then put
//! together from the parts, in buffers that are used again. A test holds the bytes against those of [`Envelope`].

use chrono::{DateTime, SubsecRound, Utc};
use shared_events::{CustomerId, EventId, EventType, OrderCreated, OrderId, OutOfBounds};
use uuid::Uuid;

use crate::orders::{Orders, Wanted, event};

/// How many headers an event has.
const HEADERS: usize = 5;

/// Why an event cannot be written: it says so of the first, so that no load begins with it.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The sample has no JSON form.
    #[error("an event cannot be written")]
    Unwritable(#[from] serde_json::Error),
    /// A name of the sample is out of bounds.
    #[error("an order cannot be made: {0}")]
    OutOfBounds(#[from] OutOfBounds),
}

/// The events of an endless row of orders.
#[derive(Debug, Clone)]
pub struct Events {
    orders: Orders,
    template: Template,
    key: String,
}

/// An event as it goes into a record.
#[derive(Debug, Clone, Copy)]
pub struct Written<'e> {
    /// The order's id.
    pub key: &'e str,
    /// JSON.
    pub value: &'e [u8],
    /// Names and values.
    pub headers: &'e [(&'static str, String)],
}

/// Writes events.
#[derive(Debug, Clone)]
struct Template {
    value: Parts,
    headers: [(&'static str, Parts); HEADERS],
    written: [(&'static str, String); HEADERS],
    body: String,
    time: (DateTime<Utc>, String),
}

/// A text with gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Gap(Gap),
}

/// What differs from order to order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    OrderId,
    EventId,
    Customer,
    Time,
    /// The order's id without hyphens, as in a trace.
    TraceId,
    /// The last 16 digits of it.
    SpanId,
}

/// The texts that go into the gaps.
struct Texts<'t> {
    order_id: &'t str,
    event_id: &'t str,
    customer: &'t str,
    time: &'t str,
    trace_id: &'t str,
}

impl Events {
    /// Of these orders.
    pub fn of(orders: Orders) -> Result<Self, TemplateError> {
        Ok(Self {
            template: Template::new(orders.wanted())?,
            orders,
            key: String::new(),
        })
    }

    /// The event of the next order, made at this time, to the millisecond.
    pub fn next(&mut self, at: DateTime<Utc>) -> Result<Written<'_>, TemplateError> {
        let at = at.trunc_subsecs(3);
        let (id, customer) = self.orders.draw(at);
        self.key.clear();
        self.key.push_str(
            id.as_uuid()
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        );
        self.template.write(id, &self.key, customer, at)?;
        Ok(Written {
            key: &self.key,
            value: self.template.body.as_bytes(),
            headers: &self.template.written,
        })
    }
}

impl Template {
    /// For orders of this kind.
    fn new(wanted: &Wanted) -> Result<Self, TemplateError> {
        // By chance, so that no name that somebody gives a product occurs in them, or they in it.
        let order_id = OrderId::now();
        let customer_id = CustomerId::new(Uuid::new_v4().simple().to_string())?;
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let sample = event(OrderCreated {
            order_id,
            customer_id: customer_id.clone(),
            product_id: wanted.product.clone(),
            quantity: wanted.quantity,
            amount: wanted.amount,
            occurred_at: at,
        });
        let (order, trace) = (
            order_id.to_string(),
            order_id.as_uuid().simple().to_string(),
        );
        let event_id = sample.headers.event_id.to_string();
        let (_, span) = trace.split_at(16);
        let time = serde_json::to_string(&at)?;
        let found = [
            (order.as_str(), Gap::OrderId),
            (event_id.as_str(), Gap::EventId),
            (customer_id.as_str(), Gap::Customer),
            (time.as_str(), Gap::Time),
            (trace.as_str(), Gap::TraceId),
            // After the trace's, of which it is the end.
            (span, Gap::SpanId),
        ];
        let value = String::from_utf8_lossy(&sample.value()?).into_owned();
        let pairs = sample.header_pairs();
        Ok(Self {
            value: Parts::of(&value, &found),
            headers: pairs
                .each_ref()
                .map(|(name, text)| (*name, Parts::of(text, &found))),
            written: pairs,
            body: value,
            time: (at, time),
        })
    }

    /// Makes value and headers those of the event of this order, whose id is `key` as text.
    fn write(
        &mut self,
        order: OrderId,
        key: &str,
        customer: &CustomerId,
        at: DateTime<Utc>,
    ) -> Result<(), TemplateError> {
        if self.time.0 != at {
            self.time = (at, serde_json::to_string(&at)?);
        }
        let (mut event_buffer, mut trace_buffer) = (Uuid::encode_buffer(), Uuid::encode_buffer());
        let event_id = EventId::of(order, EventType::OrderCreated).as_uuid();
        let texts = Texts {
            order_id: key,
            event_id: event_id.hyphenated().encode_lower(&mut event_buffer),
            customer: customer.as_str(),
            time: &self.time.1,
            trace_id: order.as_uuid().simple().encode_lower(&mut trace_buffer),
        };
        self.value.write(&texts, &mut self.body);
        for ((_, parts), (_, text)) in self.headers.iter().zip(&mut self.written) {
            parts.write(&texts, text);
        }
        Ok(())
    }
}

impl Parts {
    /// The text, taken apart around all that is found in it.
    fn of(text: &str, found: &[(&str, Gap)]) -> Self {
        let mut parts = vec![Part::Text(text.to_owned())];
        for (sample, gap) in found {
            parts = parts
                .into_iter()
                .flat_map(|part| part.split(sample, *gap))
                .collect();
        }
        Self(parts)
    }

    fn write(&self, texts: &Texts<'_>, into: &mut String) {
        into.clear();
        for part in &self.0 {
            into.push_str(match part {
                Part::Text(text) => text,
                Part::Gap(Gap::OrderId) => texts.order_id,
                Part::Gap(Gap::EventId) => texts.event_id,
                Part::Gap(Gap::Customer) => texts.customer,
                Part::Gap(Gap::Time) => texts.time,
                Part::Gap(Gap::TraceId) => texts.trace_id,
                Part::Gap(Gap::SpanId) => texts.trace_id.get(16..).unwrap_or_default(),
            });
        }
    }
}

impl Part {
    fn split(self, sample: &str, gap: Gap) -> Vec<Self> {
        let Self::Text(text) = self else {
            return vec![self];
        };
        let mut parts = Vec::new();
        for (n, piece) in text.split(sample).enumerate() {
            if n > 0 {
                parts.push(Self::Gap(gap));
            }
            if !piece.is_empty() {
                parts.push(Self::Text(piece.to_owned()));
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_event_from_the_template_has_the_bytes_of_an_envelope(
            id in any::<u128>(), customer in "[A-Za-z0-9_-]{1,64}", product in "[A-Za-z0-9_-]{1,64}",
            pieces in 1u32..=10_000, cents in 1u32..=100_000_000, times in proptest::collection::vec(0i64..4_102_444_800_000, 2),
        ) {
            let amount: shared_events::Amount = format!("{}.{:02}", cents / 100, cents % 100).parse().unwrap();
            let wanted = Wanted {
                customer: None,
                product: product.parse().unwrap(),
                quantity: shared_events::Quantity::new(pieces).unwrap(),
                amount,
            };
            let mut template = Template::new(&wanted).unwrap();
            for (n, time) in times.into_iter().enumerate() {
                let order = OrderCreated {
                    order_id: OrderId::from(Uuid::from_u128(id.wrapping_add(n as u128))),
                    customer_id: customer.parse().unwrap(),
                    product_id: wanted.product.clone(),
                    quantity: wanted.quantity,
                    amount,
                    occurred_at: DateTime::from_timestamp_millis(time).unwrap(),
                };
                let key = order.order_id.to_string();
                template.write(order.order_id, &key, &order.customer_id, order.occurred_at).unwrap();
                let expected = event(order);
                prop_assert_eq!(template.body.as_bytes(), expected.value().unwrap());
                prop_assert_eq!(&template.written, &expected.header_pairs());
            }
        }
    }
}
