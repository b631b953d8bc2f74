//! An event with its headers, and the conversion to and from a Kafka record.
//!
//! [`Envelope::decode`] separates three cases: an event, an event type that this release does not
//! know (a newer service may publish it; the consumer skips and counts it), and [`Poison`]: a
//! record that no retry can make valid (the consumer sends it to the dead-letter topic).

use std::fmt;

use crate::{CorrelationId, Event, EventHeaders, EventId, EventType, TraceParent};

/// An event with its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event.
    pub event: Event,
    /// The headers, except `event-type`, which follows from the event.
    pub headers: EventHeaders,
}

/// The content of a valid record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// One of the six events.
    Event(Box<Envelope>),
    /// A type that this release does not know, with its name. To be skipped and counted.
    UnknownType(String),
}

/// Why a record is poison: no retry can make it valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Poison {
    /// The kind of poison.
    pub class: PoisonClass,
    /// The details, for a person.
    pub message: String,
}

macro_rules! poison_classes {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// The kinds of poison. The set is closed: its names are values of a header and of a metric
        /// label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PoisonClass {
            $($(#[$doc])* $name,)*
        }

        impl PoisonClass {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The value of the header `dlq-error-class` and of the metric label.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

poison_classes! {
    /// A required header is missing.
    MissingHeader = "missing_header",
    /// The value of a header is invalid.
    BadHeader = "bad_header",
    /// The record has no value. Tombstones have no meaning in the topics of events.
    NullValue = "null_value",
    /// The value is not UTF-8.
    NotUtf8 = "not_utf8",
    /// The value is not JSON, a field is missing, or a field is out of bounds.
    BadValue = "bad_value",
    /// The key is not the order id of the value. The order's events would be on two partitions and
    /// so without an order.
    KeyMismatch = "key_mismatch",
    /// A rule of the service rejects the event.
    DomainRule = "domain_rule",
    /// The database rejects a value of the record (SQLSTATE 22*, 23514), also in a batch of one.
    Database = "database",
    /// The handler panics on the record, also in a batch of one.
    Panic = "panic",
    /// The record failed for now each time it was tried, and `RETRY_MAX` is reached.
    RetriesExhausted = "retries_exhausted",
}

impl fmt::Display for PoisonClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Poison {
    /// Poison of this kind, with details for a person.
    pub fn new(class: PoisonClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }
}

impl Envelope {
    /// The first event of a saga. Its causation id is the order id.
    pub fn first(
        event: impl Into<Event>,
        correlation_id: CorrelationId,
        traceparent: TraceParent,
    ) -> Self {
        let event = event.into();
        let headers = EventHeaders {
            event_id: event.event_id(),
            correlation_id,
            causation_id: event.order_id().as_uuid(),
            traceparent,
        };
        Self { event, headers }
    }

    /// The answer to another event, with its correlation id and its trace. The headers are a
    /// function of the arguments, so a repeated answer has the same bytes.
    pub fn answer(cause: &EventHeaders, event: impl Into<Event>) -> Self {
        let event = event.into();
        let event_id: EventId = event.event_id();
        let headers = EventHeaders {
            event_id,
            correlation_id: cause.correlation_id.clone(),
            causation_id: cause.event_id.as_uuid(),
            traceparent: cause.traceparent.child_for_event(event_id),
        };
        Self { event, headers }
    }

    /// The key of the record: the order id as text. All events of an order in one topic are
    /// therefore on one partition, in order.
    pub fn key(&self) -> String {
        self.event.order_id().to_string()
    }

    /// The headers of the record, with `event-type`.
    pub fn header_pairs(&self) -> [(&'static str, String); 5] {
        self.headers.to_pairs(self.event.event_type().name())
    }

    /// The value of the record: JSON. Serialising an event does not fail in practice, since each
    /// field is text or a number.
    pub fn value(&self) -> Result<Vec<u8>, serde_json::Error> {
        self.event.to_json()
    }

    /// Decodes a record. Pure: the result depends on the arguments only, and no input panics.
    ///
    /// # Errors
    /// [`Poison`], if the record is invalid.
    pub fn decode<'a>(
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        value: Option<&[u8]>,
    ) -> Result<Decoded, Poison> {
        let (type_name, headers) = EventHeaders::from_pairs(headers)?;
        let Ok(event_type) = type_name.parse::<EventType>() else {
            return Ok(Decoded::UnknownType(type_name.to_owned()));
        };
        let value =
            value.ok_or_else(|| Poison::new(PoisonClass::NullValue, "the record has no value"))?;
        if let Err(error) = std::str::from_utf8(value) {
            return Err(Poison::new(PoisonClass::NotUtf8, error.to_string()));
        }
        let event = event_type
            .parse_json(value)
            .map_err(|error| Poison::new(PoisonClass::BadValue, error.to_string()))?;
        if key != Some(event.order_id().to_string().as_bytes()) {
            let message = format!("the key is not the order id {}", event.order_id());
            return Err(Poison::new(PoisonClass::KeyMismatch, message));
        }
        Ok(Decoded::Event(Box::new(Self { event, headers })))
    }
}
