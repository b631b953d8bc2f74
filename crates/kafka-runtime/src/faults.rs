//! Faults on purpose: a protection switched off, or the process killed at a crash point.
//!
//! They are the negative controls of every test and scenario that claims a guarantee: with the protection off and a crash at
//! the point it guards, the same check must fail. Both are refused unless `SANDBOX_UNSAFE=1`, and logged as an error.
//!
//! The environment sets them at the start (`PROTECTION_OFF`, `CRASH_AT`), and the record of the group in `sandbox.controls`
//! while the process runs. The names are in `shared-events`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared_events::OrNone;
use shared_events::member_api::EffectiveConfig;

pub use shared_events::{CrashAt, CrashPoint, Protection};

/// The faults of this process. None by default. Clones belong to the same process: they change together, and count passes
/// together.
#[derive(Debug, Clone)]
pub struct Faults {
    unsafe_allowed: bool,
    started: DateTime<Utc>,
    active: Arc<Mutex<Active>>,
}

#[derive(Debug, Default)]
struct Active {
    off: Option<Protection>,
    crash: Option<CrashAt>,
    /// When the crash point was set. A crash point that is set again counts its passes from 0.
    crash_since: Option<DateTime<Utc>>,
    passes: u32,
}

/// No faults, and none can be set.
impl Default for Faults {
    fn default() -> Self {
        Self::with(false, None, None)
    }
}

impl Faults {
    /// The faults of a process with `SANDBOX_UNSAFE=1`: at most one protection that is off, and at most one crash point. Both
    /// can be changed while it runs.
    pub fn new(off: Option<Protection>, crash: Option<CrashAt>) -> Self {
        Self::with(true, off, crash)
    }

    fn with(unsafe_allowed: bool, off: Option<Protection>, crash: Option<CrashAt>) -> Self {
        let active = Active {
            off,
            crash,
            ..Active::default()
        };
        Self {
            unsafe_allowed,
            started: Utc::now(),
            active: Arc::new(Mutex::new(active)),
        }
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process obeys faults: `SANDBOX_UNSAFE=1`.
    pub fn are_allowed(&self) -> bool {
        self.unsafe_allowed
    }

    /// When this process started. A crash that is not repeated is for processes that started before it was set.
    pub(crate) fn started(&self) -> DateTime<Utc> {
        self.started
    }

    /// The crash point that is set, and the protection that is off.
    pub(crate) fn current(&self) -> (OrNone<CrashAt>, OrNone<Protection>) {
        let active = self.active();
        (OrNone(active.crash), OrNone(active.off))
    }

    /// Applies the effective configuration. Each new fault is logged as an error.
    pub(crate) fn apply(&self, config: &EffectiveConfig) {
        let (crash, since) = (config.crash_at.0, config.since.crash_at);
        let mut active = self.active();
        if config.protection_off.0 != active.off {
            active.off = config.protection_off.0;
            log_protection(active.off);
        }
        if (crash, since) != (active.crash, active.crash_since) {
            active.crash = crash;
            active.crash_since = since;
            active.passes = 0;
            log_crash(crash);
        }
    }

    /// Whether this protection is on.
    pub fn keeps(&self, protection: Protection) -> bool {
        self.active().off != Some(protection)
    }

    /// Passes a crash point. Kills this process if it is the configured point and pass.
    pub fn pass(&self, point: CrashPoint) {
        if self.active().passes_for_the_last_time(point) {
            // By SIGKILL and not by an exit: nothing may be flushed, rolled back or closed. A process may always signal
            // itself. If it failed, the test that waits for the crash would fail.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }
}

impl Active {
    fn passes_for_the_last_time(&mut self, point: CrashPoint) -> bool {
        let Some(at) = self.crash.filter(|at| at.point == point) else {
            return false;
        };
        self.passes = self.passes.saturating_add(1);
        self.passes == at.pass.get()
    }
}

/// Logs that a protection is off.
pub(crate) fn log_protection(off: Option<Protection>) {
    if let Some(protection) = off {
        tracing::error!(%protection, "a protection is off on purpose: this process breaks its guarantees");
    }
}

/// Logs that this process will kill itself.
pub(crate) fn log_crash(crash: Option<CrashAt>) {
    if let Some(at) = crash {
        tracing::error!(crash_at = %at, "this process will kill itself on purpose");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_protection_is_off() {
        let faults = Faults::new(Some(Protection::Outbox), None);
        for protection in Protection::ALL {
            assert_eq!(faults.keeps(*protection), *protection != Protection::Outbox);
        }
        faults.clone().apply(&EffectiveConfig::default());
        assert!(faults.keeps(Protection::Outbox));
    }

    #[test]
    fn passes_of_the_point_are_counted_since_it_was_set() {
        let (here, there) = (CrashPoint::BatchCollected, CrashPoint::BatchCommitted);
        let faults = Faults::new(None, None);
        let mut config = EffectiveConfig {
            crash_at: "batch-collected:3".parse().unwrap(),
            ..EffectiveConfig::default()
        };
        let pass = |config: &EffectiveConfig, point| {
            faults.apply(config);
            faults.active().passes_for_the_last_time(point)
        };
        // The same configuration again, as with each other control of the group, changes nothing.
        assert!(!pass(&config, here) && !pass(&config, there) && !pass(&config, here));
        config.since.crash_at = DateTime::from_timestamp(7, 0);
        assert!(!pass(&config, here) && !pass(&config, here));
        assert!(pass(&config, here));
        assert!(!pass(&EffectiveConfig::default(), here));
    }
}
