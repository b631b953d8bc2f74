//! Faults on purpose: a protection switched off, or the process killed at a crash point.
//!
//! They are the negative controls of every test and scenario that claims a guarantee: with the protection off and a crash at
//! the point it guards, the same check must fail. Both are refused unless `SANDBOX_UNSAFE=1`, and logged as an error at start.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared_events::OutOfBounds;

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
    Protection, "must be outbox, single-relay, idempotency-key, idempotent-effect, offsets-in-transaction, drop-revoked, seek-back or poison-limit" {
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
    CrashPoint, "must be one of the crash points of docs/failure-modes.md, optionally with :n for the n-th pass" {
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

/// A crash point and the pass at which to crash: `CRASH_AT=relay-after-publish:3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashAt {
    point: CrashPoint,
    pass: u32,
}

impl FromStr for CrashAt {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        let (point, pass) = match text.split_once(':') {
            None => (text, 1),
            Some((point, pass)) => (point, pass.parse().unwrap_or(0)),
        };
        let point = point.parse()?;
        if pass == 0 {
            return Err(OutOfBounds(
                "the pass after the colon must be a whole number from 1",
            ));
        }
        Ok(Self { point, pass })
    }
}

/// The faults of this process. None by default. Clones count passes together.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    off: Option<Protection>,
    crash: Option<(CrashAt, Arc<AtomicU32>)>,
}

impl Faults {
    /// At most one protection that is off, and at most one crash point.
    pub fn new(off: Option<Protection>, crash: Option<CrashAt>) -> Self {
        Self {
            off,
            crash: crash.map(|crash| (crash, Arc::default())),
        }
    }

    /// Whether this protection is on.
    pub fn keeps(&self, protection: Protection) -> bool {
        self.off != Some(protection)
    }

    /// Passes a crash point. Kills this process if it is the configured point and pass.
    ///
    /// By SIGKILL and not by an exit: nothing may be flushed, rolled back or closed.
    pub fn pass(&self, point: CrashPoint) {
        let Some((at, passes)) = &self.crash else {
            return;
        };
        if at.point == point && passes.fetch_add(1, Ordering::Relaxed) + 1 == at.pass {
            // A process may always signal itself. If it failed, the test that waits for the crash would fail.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_point_is_read_with_its_pass() {
        let at: CrashAt = "relay-after-publish:3".parse().unwrap();
        assert_eq!(
            at,
            CrashAt {
                point: CrashPoint::RelayAfterPublish,
                pass: 3
            }
        );
        for bad in [
            "",
            "nowhere",
            "relay-after-publish:0",
            "relay-after-publish:x",
            "relay-after-publish:",
        ] {
            assert!(bad.parse::<CrashAt>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_named_protection_is_off() {
        let faults = Faults::new(Some(Protection::Outbox), None);
        for protection in Protection::ALL {
            assert_eq!(faults.keeps(*protection), *protection != Protection::Outbox);
        }
    }
}
