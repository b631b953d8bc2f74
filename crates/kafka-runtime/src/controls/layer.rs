//! The settings of one source, each with the time since which it is set. Pure.

use std::fmt;

use chrono::{DateTime, Utc};
use shared_events::{CrashAt, GroupControls, OrNone, Protection};

/// A value, and since when its source has set it. The environment has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    pub(super) since: Option<DateTime<Utc>>,
}

/// Where the process kills itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) at: OrNone<CrashAt>,
    /// Also in processes that start later.
    pub(super) repeat: bool,
}

/// The settings of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(super) processing_time_ms: Option<Setting<u32>>,
    pub(super) batch_max: Option<Setting<u32>>,
    pub(super) paused: Option<Setting<bool>>,
    pub(super) crash: Option<Setting<Crash>>,
    pub(super) protection_off: Option<Setting<OrNone<Protection>>>,
    /// The source has set a fault that this process may not obey. The fault is not in this layer.
    pub(super) faults_ignored: bool,
}

impl Layer {
    /// What the source has set at this time. A processing time without `batch_max` implies `batch_max`. Faults are left out
    /// unless they are allowed.
    pub(crate) fn new(
        settings: GroupControls,
        at: Option<DateTime<Utc>>,
        faults_allowed: bool,
    ) -> Self {
        fn setting<T>(value: Option<T>, since: Option<DateTime<Utc>>) -> Option<Setting<T>> {
            value.map(|value| Setting { value, since })
        }
        let faults_ignored = !faults_allowed && !settings.faults().is_empty();
        let settings = match faults_allowed {
            true => settings,
            false => settings.without_faults(),
        };
        let settings = settings.with_implied_batch_max();
        let crash = settings.crash_at.map(|at| Crash {
            at,
            repeat: settings.crash_at_repeat.unwrap_or(false),
        });
        Self {
            processing_time_ms: setting(settings.processing_time_ms, at),
            batch_max: setting(settings.batch_max, at),
            paused: setting(settings.paused, at),
            crash: setting(crash, settings.crash_at_since.or(at)),
            protection_off: setting(settings.protection_off, at),
            faults_ignored,
        }
    }

    /// The settings that replace `before`. A value that is set again keeps its time; a crash point has the time of the record,
    /// because a process obeys it if it started before.
    #[must_use]
    pub(crate) fn replacing(self, before: &Self) -> Self {
        fn kept<T: PartialEq>(
            new: Option<Setting<T>>,
            before: Option<Setting<T>>,
        ) -> Option<Setting<T>> {
            match (new, before) {
                (Some(new), Some(before)) if new.value == before.value => Some(before),
                (new, _) => new,
            }
        }
        Self {
            processing_time_ms: kept(self.processing_time_ms, before.processing_time_ms),
            batch_max: kept(self.batch_max, before.batch_max),
            paused: kept(self.paused, before.paused),
            protection_off: kept(self.protection_off, before.protection_off),
            ..self
        }
    }

    /// These settings, and those of `before` that they do not set.
    pub(super) fn or(self, before: &Self) -> Self {
        Self {
            processing_time_ms: self.processing_time_ms.or(before.processing_time_ms),
            batch_max: self.batch_max.or(before.batch_max),
            paused: self.paused.or(before.paused),
            crash: self.crash.or(before.crash),
            protection_off: self.protection_off.or(before.protection_off),
            ..self
        }
    }

    /// These settings without those that `newer` sets.
    pub(super) fn without(self, newer: &Self) -> Self {
        Self {
            processing_time_ms: self
                .processing_time_ms
                .filter(|_| newer.processing_time_ms.is_none()),
            batch_max: self.batch_max.filter(|_| newer.batch_max.is_none()),
            paused: self.paused.filter(|_| newer.paused.is_none()),
            crash: self.crash.filter(|_| newer.crash.is_none()),
            protection_off: self
                .protection_off
                .filter(|_| newer.protection_off.is_none()),
            ..self
        }
    }

    /// Whether it asks for a resume, which also ends a halt.
    pub(crate) fn resumes(&self) -> bool {
        self.paused.is_some_and(|paused| !paused.value)
    }
}

/// `processing_time_ms=2000 batch_max=1`, or `nothing`.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self
            .processing_time_ms
            .map(|time| format!("processing_time_ms={}", time.value));
        let batch = self
            .batch_max
            .map(|batch| format!("batch_max={}", batch.value));
        let paused = self.paused.map(|paused| format!("paused={}", paused.value));
        let crash = self.crash.map(|crash| match crash.value.repeat {
            true => format!("crash_at={} crash_at_repeat=true", crash.value.at),
            false => format!("crash_at={}", crash.value.at),
        });
        let off = self
            .protection_off
            .map(|off| format!("protection_off={}", off.value));
        let set = [time, batch, paused, crash, off];
        let set: Vec<String> = set.into_iter().flatten().collect();
        match set.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&set.join(" ")),
        }
    }
}
