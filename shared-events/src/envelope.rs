//! An event as it travels: key, headers, value.

use std::fmt;

use crate::{CorrelationId, Event, EventHeaders, EventId, EventType, TraceParent};

/// An event with its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What happened.
    pub event: Event,
    /// What to call it, and what it answers.
    pub headers: EventHeaders,
}

/// What was in a record that is not poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// An event of ours.
    Event(Box<Envelope>),
    /// An event of a type that is none of ours, with its name: a newer service's perhaps. To be skipped and counted.
    UnknownType(String),
}

/// Why a record can never be taken, however often it is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Poison {
    /// Which kind, out of a closed set: it becomes a metric's label.
    pub class: PoisonClass,
    /// What exactly, for a person.
    pub message: String,
}

macro_rules! poison_classes {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// The kinds of poison. A closed set, since it becomes a header and a metric's label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PoisonClass {
            $($(#[$doc])* $name,)*
        }

        impl PoisonClass {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in headers and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

poison_classes! {
    /// A header that every event has is not there.
    MissingHeader = "missing_header",
    /// A header is not what it should be.
    BadHeader = "bad_header",
    /// The record has no value: a tombstone, which none of our topics knows.
    NullValue = "null_value",
    /// The value is not UTF-8.
    NotUtf8 = "not_utf8",
    /// The value is not JSON, or not of the event's shape, or a field is out of bounds.
    BadValue = "bad_value",
    /// The key is not the order id of the value: the order's events would lie on two partitions.
    KeyMismatch = "key_mismatch",
    /// A rule of the service refuses it.
    DomainRule = "domain_rule",
    /// The database refuses the value itself (SQLSTATE 22*, 23514), also when it comes alone.
    Database = "database",
    /// The handler panicked on it, also when it came alone.
    Panic = "panic",
}

impl fmt::Display for PoisonClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Poison {
    /// A reason to set a record aside.
    pub fn new(class: PoisonClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }
}

impl Envelope {
    /// The first event of a saga, answering nothing but the order itself.
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

    /// The answer to an event, in the same saga and trace. The same event answered alike gives the same bytes.
    pub fn answer(asked: &EventHeaders, event: impl Into<Event>) -> Self {
        let event = event.into();
        let event_id: EventId = event.event_id();
        let headers = EventHeaders {
            event_id,
            correlation_id: asked.correlation_id.clone(),
            causation_id: asked.event_id.as_uuid(),
            traceparent: asked.traceparent.child(event_id),
        };
        Self { event, headers }
    }

    /// The record's key: the order id as text, so that all about one order stays in order on one partition.
    pub fn key(&self) -> String {
        self.event.order_id().to_string()
    }

    /// The record's headers.
    pub fn header_pairs(&self) -> [(&'static str, String); 5] {
        self.headers.to_pairs(self.event.event_type().name())
    }

    /// The record's value: JSON. Fails never in practice, since every part is text or a number.
    pub fn value(&self) -> Result<Vec<u8>, serde_json::Error> {
        self.event.write()
    }

    /// Reads a record. Pure: the same record always gives the same answer, and no input panics.
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
            .read(value)
            .map_err(|error| Poison::new(PoisonClass::BadValue, error.to_string()))?;
        if key != Some(event.order_id().to_string().as_bytes()) {
            let message = format!("the key is not the order id {}", event.order_id());
            return Err(Poison::new(PoisonClass::KeyMismatch, message));
        }
        Ok(Decoded::Event(Box::new(Self { event, headers })))
    }
}
