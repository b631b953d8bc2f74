//! The names of all record headers, and the five headers of an event.

use std::str;

use uuid::Uuid;

use crate::envelope::{Poison, PoisonClass};
use crate::{CorrelationId, EventId, TraceParent};

/// The name of the event's type, see [`EventType`](crate::EventType).
pub const EVENT_TYPE: &str = "event-type";
/// See [`EventHeaders::event_id`].
pub const EVENT_ID: &str = "event-id";
/// See [`EventHeaders::correlation_id`].
pub const CORRELATION_ID: &str = "correlation-id";
/// See [`EventHeaders::causation_id`].
pub const CAUSATION_ID: &str = "causation-id";
/// See [`EventHeaders::traceparent`].
pub const TRACEPARENT: &str = "traceparent";

/// The names of the headers that a dead letter has besides those of the original record.
///
/// kafka-runtime writes and reads their values.
pub mod dead_letter {
    /// The names of all headers of dead letters begin with this.
    pub const PREFIX: &str = "dlq-";
    /// The topic that the record was consumed from, by its full name on the broker.
    pub const ORIGINAL_TOPIC: &str = "dlq-original-topic";
    /// The partition that the record was consumed from.
    pub const ORIGINAL_PARTITION: &str = "dlq-original-partition";
    /// The offset of the record in that partition.
    pub const ORIGINAL_OFFSET: &str = "dlq-original-offset";
    /// The timestamp of the record, milliseconds since 1970; -1 if it had none.
    pub const ORIGINAL_TIMESTAMP: &str = "dlq-original-timestamp";
    /// The consumer group that sent the dead letter, by its full name on the broker.
    pub const CONSUMER_GROUP: &str = "dlq-consumer-group";
    /// The name of a [`PoisonClass`](crate::PoisonClass).
    pub const ERROR_CLASS: &str = "dlq-error-class";
    /// The error, for a person.
    pub const ERROR_MESSAGE: &str = "dlq-error-message";
    /// When the dead letter was sent, RFC 3339 with milliseconds.
    pub const FAILED_AT: &str = "dlq-failed-at";
    /// How often the record was tried before it was sent to the dead-letter topic.
    pub const ATTEMPTS: &str = "dlq-attempts";
    /// The bytes of key and value that were left out because they exceed the limit of a dead
    /// letter.
    pub const LEFT_OUT_BYTES: &str = "dlq-left-out-bytes";
    /// On a replayed record: how often the record was replayed.
    pub const REPLAY_COUNT: &str = "dlq-replay-count";
    /// On a replayed record: the only group that handles the record.
    pub const REPLAY_FOR: &str = "dlq-replay-for";
    /// On a record of a dead-letter topic that is no dead letter: what was done with a dead letter
    /// of the same partition. kafka-admin writes and reads it.
    pub const OUTCOME: &str = "dlq-outcome";
    /// Beside [`OUTCOME`]: the offset of that dead letter.
    pub const OUTCOME_OFFSET: &str = "dlq-outcome-offset";
}

/// The names of the headers that a record of a retry topic has besides those of the original record:
/// these, the four `dlq-original-*`, and `dlq-attempts`.
///
/// kafka-runtime writes and reads their values.
pub mod retry {
    /// How often the record was sent to the retry topic, from 1.
    pub const ATTEMPT: &str = "retry-attempt";
    /// When the record is due, milliseconds since 1970.
    pub const NOT_BEFORE: &str = "retry-not-before";
    /// Why the last attempt failed, for a person.
    pub const CAUSE: &str = "retry-cause";
}

/// The headers of an event except `event-type`. All are required, and all are UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHeaders {
    /// The id of the event.
    pub event_id: EventId,
    /// The id that the client gave to the HTTP request which created the order. All events of the
    /// saga have it.
    pub correlation_id: CorrelationId,
    /// The event id of the event that this one answers; the order id for the first event.
    pub causation_id: Uuid,
    /// The span of the event in the trace of the order.
    pub traceparent: TraceParent,
}

impl EventHeaders {
    /// All five headers, as names and values.
    pub fn to_pairs(&self, event_type: &str) -> [(&'static str, String); 5] {
        [
            (EVENT_TYPE, event_type.to_owned()),
            (EVENT_ID, self.event_id.to_string()),
            (CORRELATION_ID, self.correlation_id.to_string()),
            (CAUSATION_ID, self.causation_id.to_string()),
            (TRACEPARENT, self.traceparent.to_string()),
        ]
    }

    /// The value of `traceparent` alone, also if another header is invalid: a poison record belongs
    /// to its trace too. `None` if the header is missing or invalid. If the header is repeated, the
    /// last one counts.
    pub fn traceparent<'a>(
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Option<TraceParent> {
        let named = pairs.into_iter().filter(|(name, _)| *name == TRACEPARENT);
        str::from_utf8(named.last()?.1?).ok()?.parse().ok()
    }

    /// Reads the headers of a record. Returns the value of `event-type`, which may be a name that
    /// this release does not know, and the other four. Headers with other names are ignored. If a
    /// header is repeated, the last one counts, as in Kafka's `lastHeader`.
    ///
    /// # Errors
    /// [`PoisonClass::MissingHeader`] or [`PoisonClass::BadHeader`].
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<(&'a str, Self), Poison> {
        let mut event_type = None;
        let mut event_id = None;
        let mut correlation_id = None;
        let mut causation_id = None;
        let mut traceparent = None;
        for (name, value) in pairs {
            match name {
                EVENT_TYPE => event_type = value,
                EVENT_ID => event_id = value,
                CORRELATION_ID => correlation_id = value,
                CAUSATION_ID => causation_id = value,
                TRACEPARENT => traceparent = value,
                _ => {}
            }
        }
        let headers = Self {
            event_id: parse(EVENT_ID, event_id)?,
            correlation_id: parse(CORRELATION_ID, correlation_id)?,
            causation_id: parse(CAUSATION_ID, causation_id)?,
            traceparent: parse(TRACEPARENT, traceparent)?,
        };
        Ok((text(EVENT_TYPE, event_type)?, headers))
    }
}

fn text<'a>(name: &str, value: Option<&'a [u8]>) -> Result<&'a str, Poison> {
    let value = value
        .ok_or_else(|| Poison::new(PoisonClass::MissingHeader, format!("no header {name}")))?;
    str::from_utf8(value).map_err(|_| {
        Poison::new(
            PoisonClass::BadHeader,
            format!("header {name} is not UTF-8"),
        )
    })
}

fn parse<T: str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    value: Option<&[u8]>,
) -> Result<T, Poison> {
    text(name, value)?
        .parse()
        .map_err(|error| Poison::new(PoisonClass::BadHeader, format!("header {name}: {error}")))
}
