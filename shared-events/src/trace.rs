//! W3C Trace Context: the `traceparent` of events and requests.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{EventId, OutOfBounds};

/// The flag `sampled`: the trace is recorded.
const SAMPLED: u8 = 1;

/// A `traceparent` header of version 00: trace id, span id, flags.
///
/// Outbox rows, record headers and dead letters carry it, so the whole saga of an order is one
/// trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// The form, in words.
    pub const LIMIT: OutOfBounds = OutOfBounds("must be a W3C traceparent of version 00");

    /// The root span of a new trace. Not sampled.
    pub fn random() -> Self {
        Self::root(Uuid::new_v4())
    }

    /// The root span of the trace whose id is this UUID of version 4 or 7. The UUID must be unique.
    /// Not sampled.
    pub fn root(id: Uuid) -> Self {
        let id = id.as_u128();
        // The lower half of a UUID contains the variant bits, so neither id is zero, which is
        // forbidden.
        Self {
            trace_id: id,
            span_id: id as u64,
            flags: 0,
        }
    }

    /// A new child span in the same trace, with a random id.
    #[must_use]
    pub fn new_child(self) -> Self {
        Self {
            span_id: Self::random().span_id,
            ..self
        }
    }

    /// The same span with the flag `sampled` set to this value.
    #[must_use]
    pub fn with_sampled(self, sampled: bool) -> Self {
        Self {
            flags: (self.flags & !SAMPLED) | if sampled { SAMPLED } else { 0 },
            ..self
        }
    }

    /// Whether the flag `sampled` is set: the trace is recorded.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace id. Never 0.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The span id. Never 0.
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// The child span in which an event is published. Its id is a function of the event id, so a
    /// repeated publication has the same bytes.
    #[must_use]
    pub fn child_for_event(self, event: EventId) -> Self {
        Self {
            span_id: event.as_uuid().as_u128() as u64,
            ..self
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

impl FromStr for TraceParent {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        let lower_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace_id, span_id, flags] = parts.as_slice() else {
            return Err(Self::LIMIT);
        };
        let lengths = [version.len(), trace_id.len(), span_id.len(), flags.len()];
        if *version != "00"
            || lengths != [2, 32, 16, 2]
            || !parts.iter().all(|part| lower_hex(part))
        {
            return Err(Self::LIMIT);
        }
        let parsed = Self {
            trace_id: u128::from_str_radix(trace_id, 16).map_err(|_| Self::LIMIT)?,
            span_id: u64::from_str_radix(span_id, 16).map_err(|_| Self::LIMIT)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| Self::LIMIT)?,
        };
        if parsed.trace_id == 0 || parsed.span_id == 0 {
            return Err(Self::LIMIT);
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_it_was_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<TraceParent>().unwrap().to_string(), text);
        let made = TraceParent::random();
        assert_eq!(made.to_string().parse::<TraceParent>().unwrap(), made);
    }

    #[test]
    fn an_invalid_traceparent_is_rejected() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }
}
