//! The settings of one source, each with the time since which it is set. Pure.

use std::fmt;

use chrono::{DateTime, Utc};
use shared_events::GroupControls;

/// A value, and since when its source has set it. The environment has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    pub(super) since: Option<DateTime<Utc>>,
}

/// The settings of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(super) processing_time_ms: Option<Setting<u32>>,
    pub(super) batch_max: Option<Setting<u32>>,
    pub(super) paused: Option<Setting<bool>>,
}

impl Layer {
    /// What the source has set at this time. A processing time without `batch_max` implies `batch_max`.
    pub(crate) fn new(settings: GroupControls, at: Option<DateTime<Utc>>) -> Self {
        fn setting<T>(value: Option<T>, since: Option<DateTime<Utc>>) -> Option<Setting<T>> {
            value.map(|value| Setting { value, since })
        }
        let settings = settings.with_implied_batch_max();
        Self {
            processing_time_ms: setting(settings.processing_time_ms, at),
            batch_max: setting(settings.batch_max, at),
            paused: setting(settings.paused, at),
        }
    }

    /// The settings that replace `before`. A value that is set again keeps its time.
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
        }
    }

    /// These settings, and those of `before` that they do not set.
    pub(super) fn or(self, before: &Self) -> Self {
        Self {
            processing_time_ms: self.processing_time_ms.or(before.processing_time_ms),
            batch_max: self.batch_max.or(before.batch_max),
            paused: self.paused.or(before.paused),
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
        let set: Vec<String> = [time, batch, paused].into_iter().flatten().collect();
        match set.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&set.join(" ")),
        }
    }
}
