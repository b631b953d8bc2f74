//! Faults that a service has on purpose: a protection that is off, a point at which its process kills itself.
//!
//! A service obeys them only if it runs with `SANDBOX_UNSAFE=1`. They are set by its environment, or while it runs by the
//! record of its group in `sandbox.controls` ([`GroupControls`](crate::GroupControls)).

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use crate::OutOfBounds;

macro_rules! named {
    ($(#[$doc:meta])* $enum:ident, $limit:literal { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $enum {
            /// All variants, in the order of `docs/failure-modes.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in settings and documents.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for $enum {
            type Err = OutOfBounds;

            fn from_str(name: &str) -> Result<Self, OutOfBounds> {
                Self::ALL.iter().copied().find(|known| known.name() == name).ok_or(OutOfBounds($limit))
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// What `PROTECTION_OFF` can switch off.
    Protection, "must be none, outbox, single-relay, idempotency-key, idempotent-effect, offsets-in-transaction, drop-revoked, seek-back or poison-limit" {
        /// order-service sends an event after its commit instead of writing it into the outbox.
        Outbox = "outbox",
        /// Every instance of order-service relays, instead of one.
        SingleRelay = "single-relay",
        /// `Idempotency-Key` is ignored.
        IdempotencyKey = "idempotency-key",
        /// inventory-service decides again instead of looking up its earlier decision.
        IdempotentEffect = "idempotent-effect",
        /// Offsets are committed after the Kafka transaction instead of in it.
        OffsetsInTransaction = "offsets-in-transaction",
        /// Records of partitions that were revoked during `collect` stay in the batch.
        DropRevoked = "drop-revoked",
        /// A failed batch is not read again.
        SeekBack = "seek-back",
        /// Poison records in a row go to the dead-letter topic without a limit.
        PoisonLimit = "poison-limit",
    }
}

named! {
    /// Where `CRASH_AT` kills the process. `docs/failure-modes.md` has a row for each.
    CrashPoint, "must be none, or one of the crash points of docs/failure-modes.md, optionally with :n for the n-th pass" {
        /// order-service has written the orders of a batch, but not committed them.
        AcceptBeforeCommit = "accept-before-commit",
        /// order-service has committed the orders of a batch, but answered no client.
        AcceptAfterCommit = "accept-after-commit",
        /// The relay has read rows of the outbox, but published none.
        RelayBeforePublish = "relay-before-publish",
        /// The relay has published rows of the outbox, but deleted none.
        RelayAfterPublish = "relay-after-publish",
        /// A member has collected a batch, but not applied it.
        BatchCollected = "batch-collected",
        /// A batch is written to the database, but none of its events is published.
        EffectCommitted = "effect-committed",
        /// The broker has acknowledged the events of a batch, but its offsets are neither sent nor committed.
        OutputsAcknowledged = "outputs-acknowledged",
        /// Events and offsets are in the Kafka transaction, but it is not committed.
        OffsetsAdded = "offsets-added",
        /// The batch is committed, but the next one is not collected.
        BatchCommitted = "batch-committed",
    }
}

/// A crash point and the pass at which to crash: `relay-after-publish:3`. Without a number, the first pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashAt {
    /// Where.
    pub point: CrashPoint,
    /// The n-th pass since the crash point was set, or since the start of the process.
    pub pass: NonZeroU32,
}

impl FromStr for CrashAt {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        let (point, pass) = match text.split_once(':') {
            None => (text, Ok(NonZeroU32::MIN)),
            Some((point, pass)) => (point, pass.parse()),
        };
        let limit = "the pass after the colon must be a whole number from 1 to 4294967295";
        Ok(Self {
            point: point.parse()?,
            pass: pass.map_err(|_| OutOfBounds(limit))?,
        })
    }
}

impl fmt::Display for CrashAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pass {
            NonZeroU32::MIN => write!(f, "{}", self.point),
            pass => write!(f, "{}:{pass}", self.point),
        }
    }
}

/// A fault, or `none`. In JSON it is a string, as on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrNone<T>(pub Option<T>);

impl<T> Default for OrNone<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: FromStr<Err = OutOfBounds>> FromStr for OrNone<T> {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        match text {
            "none" => Ok(Self(None)),
            name => name.parse().map(|fault| Self(Some(fault))),
        }
    }
}

impl<T: fmt::Display> fmt::Display for OrNone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(fault) => fault.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl<T: fmt::Display> Serialize for OrNone<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: FromStr<Err = OutOfBounds>> Deserialize<'de> for OrNone<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_point_is_read_with_its_pass() {
        let at: CrashAt = "relay-after-publish:3".parse().unwrap();
        assert_eq!(at.point, CrashPoint::RelayAfterPublish);
        assert_eq!(at.pass.get(), 3);
        for written in ["relay-after-publish:3", "batch-collected"] {
            assert_eq!(written.parse::<CrashAt>().unwrap().to_string(), written);
        }
        for bad in [
            "",
            "nowhere",
            "relay-after-publish:0",
            "relay-after-publish:x",
            "relay-after-publish:",
            "relay-after-publish:4294967296",
        ] {
            assert!(bad.parse::<CrashAt>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_is_a_string_and_none_ends_it() {
        for json in [r#""none""#, r#""batch-collected:2""#] {
            let read: OrNone<CrashAt> = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
            assert_eq!(read.0.is_none(), json.contains("none"));
        }
        for wrong in [r#""everything""#, "1", r#""""#] {
            assert!(
                serde_json::from_str::<OrNone<Protection>>(wrong).is_err(),
                "{wrong}"
            );
        }
    }
}
