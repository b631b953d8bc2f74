//! Encoding the event of an order cheaply: what is the same in every order of a load is encoded
//! once.
//!
//! [`Envelope`] needs about twenty allocations for an event, which at hundreds of thousands a
//! second is most of the work. Here [`Envelope`] encodes one sample, and the sample is cut into a
//! template around its ids. Every event is the template with its own ids, written into buffers that
//! are reused. A test compares the bytes with those of [`Envelope`].
//!
//! [`Envelope`]: shared_events::Envelope

use chrono::{DateTime, SubsecRound, Utc};
use shared_events::{CustomerId, EventId, EventType, OrderCreated, OrderId, OutOfBounds};
use uuid::Uuid;

use crate::order_generator::{OrderGenerator, OrderSpec, created_event};

/// The number of headers of an event.
const HEADERS: usize = 5;

/// Why an event cannot be encoded. The sample fails first, so a load fails before it starts.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("an event cannot be encoded")]
    Json(#[from] serde_json::Error),
    #[error("an order cannot be made: {0}")]
    OutOfBounds(#[from] OutOfBounds),
}

/// The events of an endless sequence of orders.
#[derive(Debug, Clone)]
pub struct EventGenerator {
    orders: OrderGenerator,
    template: EventTemplate,
    key: String,
}

/// The parts of a Kafka record.
#[derive(Debug, Clone, Copy)]
pub struct EncodedEvent<'e> {
    /// The order's id.
    pub key: &'e str,
    /// JSON.
    pub value: &'e [u8],
    pub headers: &'e [(&'static str, String)],
}

/// The templates of value and headers, and the buffers of the last event.
#[derive(Debug, Clone)]
struct EventTemplate {
    value: TextTemplate,
    headers: [(&'static str, TextTemplate); HEADERS],
    value_buffer: String,
    header_buffers: [(&'static str, String); HEADERS],
    /// The last time and its JSON, which many events share.
    time: (DateTime<Utc>, String),
}

/// A text with slots for what differs from order to order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TextTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    OrderId,
    EventId,
    Customer,
    Time,
    /// The order's id without hyphens.
    TraceId,
    /// The last 16 digits of the trace id.
    SpanId,
}

/// The values of one event for the slots.
struct SlotValues<'t> {
    order_id: &'t str,
    event_id: &'t str,
    customer: &'t str,
    time: &'t str,
    trace_id: &'t str,
}

impl EventGenerator {
    pub fn new(orders: OrderGenerator) -> Result<Self, TemplateError> {
        Ok(Self {
            template: EventTemplate::new(orders.spec())?,
            orders,
            key: String::new(),
        })
    }

    /// The event of the next order, made at this time, which is cut to milliseconds.
    pub fn next(&mut self, at: DateTime<Utc>) -> Result<EncodedEvent<'_>, TemplateError> {
        let at = at.trunc_subsecs(3);
        let (id, customer) = self.orders.next_id_and_customer(at);
        self.key.clear();
        self.key.push_str(
            id.as_uuid()
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        );
        self.template.write(id, &self.key, customer, at)?;
        Ok(EncodedEvent {
            key: &self.key,
            value: self.template.value_buffer.as_bytes(),
            headers: &self.template.header_buffers,
        })
    }
}

impl EventTemplate {
    fn new(spec: &OrderSpec) -> Result<Self, TemplateError> {
        // Random, so that they do not occur in the product's name, nor the name in them.
        let order_id = OrderId::now();
        let customer_id = CustomerId::new(Uuid::new_v4().simple().to_string())?;
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let sample = created_event(OrderCreated {
            order_id,
            customer_id: customer_id.clone(),
            product_id: spec.product.clone(),
            quantity: spec.quantity,
            amount: spec.amount,
            occurred_at: at,
        });
        let (order, trace) = (
            order_id.to_string(),
            order_id.as_uuid().simple().to_string(),
        );
        let event_id = sample.headers.event_id.to_string();
        let (_, span) = trace.split_at(16);
        let time = serde_json::to_string(&at)?;
        let slots = [
            (order.as_str(), Slot::OrderId),
            (event_id.as_str(), Slot::EventId),
            (customer_id.as_str(), Slot::Customer),
            (time.as_str(), Slot::Time),
            (trace.as_str(), Slot::TraceId),
            // After the trace id, because the span id is a part of it.
            (span, Slot::SpanId),
        ];
        let value = String::from_utf8_lossy(&sample.value()?).into_owned();
        let pairs = sample.header_pairs();
        Ok(Self {
            value: TextTemplate::from_sample(&value, &slots),
            headers: pairs
                .each_ref()
                .map(|(name, text)| (*name, TextTemplate::from_sample(text, &slots))),
            value_buffer: value,
            header_buffers: pairs,
            time: (at, time),
        })
    }

    /// Fills the buffers with the event of this order; `key` is its id as text.
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
        let values = SlotValues {
            order_id: key,
            event_id: event_id.hyphenated().encode_lower(&mut event_buffer),
            customer: customer.as_str(),
            time: &self.time.1,
            trace_id: order.as_uuid().simple().encode_lower(&mut trace_buffer),
        };
        self.value.write(&values, &mut self.value_buffer);
        for ((_, template), (_, buffer)) in self.headers.iter().zip(&mut self.header_buffers) {
            template.write(&values, buffer);
        }
        Ok(())
    }
}

impl TextTemplate {
    /// Cuts the text around every occurrence of the sample values.
    fn from_sample(text: &str, slots: &[(&str, Slot)]) -> Self {
        let mut parts = vec![Part::Text(text.to_owned())];
        for (sample, slot) in slots {
            parts = parts
                .into_iter()
                .flat_map(|part| part.split(sample, *slot))
                .collect();
        }
        Self(parts)
    }

    fn write(&self, values: &SlotValues<'_>, buffer: &mut String) {
        buffer.clear();
        for part in &self.0 {
            buffer.push_str(match part {
                Part::Text(text) => text,
                Part::Slot(Slot::OrderId) => values.order_id,
                Part::Slot(Slot::EventId) => values.event_id,
                Part::Slot(Slot::Customer) => values.customer,
                Part::Slot(Slot::Time) => values.time,
                Part::Slot(Slot::TraceId) => values.trace_id,
                Part::Slot(Slot::SpanId) => values.trace_id.get(16..).unwrap_or_default(),
            });
        }
    }
}

impl Part {
    fn split(self, sample: &str, slot: Slot) -> Vec<Self> {
        let Self::Text(text) = self else {
            return vec![self];
        };
        let mut parts = Vec::new();
        for (n, piece) in text.split(sample).enumerate() {
            if n > 0 {
                parts.push(Self::Slot(slot));
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
            let spec = OrderSpec {
                customer: None,
                product: product.parse().unwrap(),
                quantity: shared_events::Quantity::new(pieces).unwrap(),
                amount,
            };
            let mut template = EventTemplate::new(&spec).unwrap();
            for (n, time) in times.into_iter().enumerate() {
                let order = OrderCreated {
                    order_id: OrderId::from(Uuid::from_u128(id.wrapping_add(n as u128))),
                    customer_id: customer.parse().unwrap(),
                    product_id: spec.product.clone(),
                    quantity: spec.quantity,
                    amount,
                    occurred_at: DateTime::from_timestamp_millis(time).unwrap(),
                };
                let key = order.order_id.to_string();
                template.write(order.order_id, &key, &order.customer_id, order.occurred_at).unwrap();
                let expected = created_event(order);
                prop_assert_eq!(template.value_buffer.as_bytes(), expected.value().unwrap());
                prop_assert_eq!(&template.header_buffers, &expected.header_pairs());
            }
        }
    }
}
