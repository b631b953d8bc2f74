//! The headers that every event carries. No header name is spelled anywhere else.

use std::str;

use uuid::Uuid;

use crate::envelope::{Poison, PoisonClass};
use crate::{CorrelationId, EventId, TraceParent};

const EVENT_TYPE: &str = "event-type";
const EVENT_ID: &str = "event-id";
const CORRELATION_ID: &str = "correlation-id";
const CAUSATION_ID: &str = "causation-id";
const TRACEPARENT: &str = "traceparent";

/// The headers of an event, but for its type, which is the event's own. All are UTF-8 and all are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHeaders {
    /// The event.
    pub event_id: EventId,
    /// The client's name for the request that began the saga.
    pub correlation_id: CorrelationId,
    /// What it answers: the event id of that event; the order id for the first one.
    pub causation_id: Uuid,
    /// Its place in the order's trace.
    pub traceparent: TraceParent,
}

impl EventHeaders {
    /// Names and values, as they go into a record.
    pub fn to_pairs(&self, event_type: &str) -> [(&'static str, String); 5] {
        [
            (EVENT_TYPE, event_type.to_owned()),
            (EVENT_ID, self.event_id.to_string()),
            (CORRELATION_ID, self.correlation_id.to_string()),
            (CAUSATION_ID, self.causation_id.to_string()),
            (TRACEPARENT, self.traceparent.to_string()),
        ]
    }

    /// The place in a trace that a record names, also one of which nothing else can be read. Of two the last counts.
    pub fn traceparent<'a>(
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Option<TraceParent> {
        let named = pairs.into_iter().filter(|(name, _)| *name == TRACEPARENT);
        str::from_utf8(named.last()?.1?).ok()?.parse().ok()
    }

    /// Reads the headers of a record: the event's type as it is written there, and the rest. Headers of other names are not
    /// ours and are passed over; of two with one name the last counts, as in Kafka's `lastHeader`.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<(&'a str, Self), Poison> {
        let mut found = [None; 5];
        for (name, value) in pairs {
            let place = match name {
                EVENT_TYPE => 0,
                EVENT_ID => 1,
                CORRELATION_ID => 2,
                CAUSATION_ID => 3,
                TRACEPARENT => 4,
                _ => continue,
            };
            if let Some(slot) = found.get_mut(place) {
                *slot = value;
            }
        }
        let [
            event_type,
            event_id,
            correlation_id,
            causation_id,
            traceparent,
        ] = found;
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
