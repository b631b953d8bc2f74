//! Settings of a consumer group that can be changed while its members run.
//!
//! The topic `sandbox.controls` holds one record for each service. Its key is the service's name,
//! and its value is [`GroupControls`] as JSON. A record without a value (a tombstone) resets the
//! group to its defaults.
//!
//! The topic is compacted, so only the last record of a service counts: it replaces the record
//! before it, and fields that are absent in it are not set.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::{CrashAt, OrNone, OutOfBounds, Protection};

/// Maximum of `processing_time_ms` without `SANDBOX_UNSAFE=1`. Below the 45 s that a member may
/// spend on one batch (`max.poll.interval.ms` is 60 s).
pub const PROCESSING_TIME_MS_MAX: u32 = 30_000;

/// Maximum of `processing_time_ms` with `SANDBOX_UNSAFE=1`. Above `max.poll.interval.ms`, so that a
/// member can lose its partitions because it spends too long on one batch.
pub const PROCESSING_TIME_MS_UNSAFE_MAX: u32 = 120_000;

/// Maximum of `batch_max`.
pub const BATCH_MAX_MAX: u32 = 10_000;

/// `batch_max` if it is not set.
pub const BATCH_MAX_DEFAULT: u32 = 500;

/// Settings for all members of a group: the value of a record in `sandbox.controls`. A field that
/// is `None` is not set.
///
/// `crash_at`, `protection_off` and a `processing_time_ms` above 30 000 are *faults*: a member whose
/// process runs without `SANDBOX_UNSAFE=1` ignores them, and says so in its log and in
/// `GET /config`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupControls {
    /// Simulated work: how long a member waits before each handler call, milliseconds, 0 to 30 000;
    /// up to 120 000 as a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time_ms: Option<u32>,
    /// Maximum number of records in a batch, 1 to 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_max: Option<u32>,
    /// `true`: members consume no records. `false`: members resume, also those that stopped at the
    /// poison limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The process of each member kills itself at this crash point, or at none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_at: Option<OrNone<CrashAt>>,
    /// `true`: a process that starts later obeys `crash_at` as well, so it dies again and again.
    /// Otherwise only processes that started before `crash_at_since` do, so each dies once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_at_repeat: Option<bool>,
    /// When `crash_at` was set. The time of the record if it is absent. A record that repeats an
    /// older `crash_at` keeps this time, so it kills no process a second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_at_since: Option<DateTime<Utc>>,
    /// The protection that is off, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection_off: Option<OrNone<Protection>>,
}

/// Why the value of a record in `sandbox.controls` is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidControls {
    /// The value is not a JSON object.
    #[error("its value is not a JSON object")]
    NotAnObject,
    /// A field has the wrong type, occurs twice, or is out of bounds.
    #[error("{0}")]
    OutOfBounds(String),
    /// The object has none of the known fields.
    #[error("it names none of processing_time_ms, batch_max, paused, crash_at and protection_off")]
    NoKnownField,
}

impl GroupControls {
    /// Checks the bounds of every field.
    ///
    /// # Errors
    /// The name of the field and its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        if self
            .processing_time_ms
            .is_some_and(|time| time > PROCESSING_TIME_MS_UNSAFE_MAX)
        {
            return Err(OutOfBounds(
                "processing_time_ms must be 0 to 30000, or to 120000 for members with SANDBOX_UNSAFE=1",
            ));
        }
        if self
            .batch_max
            .is_some_and(|most| !(1..=BATCH_MAX_MAX).contains(&most))
        {
            return Err(OutOfBounds("batch_max must be 1 to 10000"));
        }
        if self.crash_at.is_none()
            && (self.crash_at_repeat.is_some() || self.crash_at_since.is_some())
        {
            return Err(OutOfBounds(
                "crash_at_repeat and crash_at_since need crash_at",
            ));
        }
        Ok(())
    }

    /// The fields that a member obeys only with `SANDBOX_UNSAFE=1`. `none` is no fault.
    pub fn faults(&self) -> Vec<&'static str> {
        let too_long = |time| time > PROCESSING_TIME_MS_MAX;
        let is_fault = [
            (
                "processing_time_ms",
                self.processing_time_ms.is_some_and(too_long),
            ),
            ("crash_at", self.crash_at.is_some_and(|at| at.0.is_some())),
            (
                "protection_off",
                self.protection_off.is_some_and(|off| off.0.is_some()),
            ),
        ];
        let faults = is_fault.into_iter();
        faults
            .filter_map(|(field, is_fault)| is_fault.then_some(field))
            .collect()
    }

    /// These settings without the faults: what a member without `SANDBOX_UNSAFE=1` obeys.
    #[must_use]
    pub fn without_faults(self) -> Self {
        let time = self.processing_time_ms;
        Self {
            processing_time_ms: time.filter(|time| *time <= PROCESSING_TIME_MS_MAX),
            crash_at: None,
            crash_at_repeat: None,
            crash_at_since: None,
            protection_off: None,
            ..self
        }
    }

    /// Decodes the value of a record. Unknown fields are ignored, since a newer release may have
    /// more.
    ///
    /// # Errors
    /// Members ignore an invalid record, and count it by the variant of the error.
    pub fn decode(value: &[u8]) -> Result<Self, InvalidControls> {
        // serde would also accept an array of the fields in their order.
        if value.trim_ascii_start().first() != Some(&b'{') {
            return Err(InvalidControls::NotAnObject);
        }
        let controls: Self =
            serde_json::from_slice(value).map_err(|error| match error.classify() {
                Category::Data => InvalidControls::OutOfBounds(error.to_string()),
                Category::Syntax | Category::Eof | Category::Io => InvalidControls::NotAnObject,
            })?;
        controls
            .validate()
            .map_err(|limit| InvalidControls::OutOfBounds(limit.to_string()))?;
        if controls.is_empty() {
            return Err(InvalidControls::NoKnownField);
        }
        Ok(controls)
    }

    /// Whether no field is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets `batch_max` if `processing_time_ms` is set without it: to 1 for a positive time, so
    /// that each message takes that time, and to the default for 0.
    #[must_use]
    pub fn with_implied_batch_max(self) -> Self {
        let implied = self.processing_time_ms.map(|time| match time {
            0 => BATCH_MAX_DEFAULT,
            _ => 1,
        });
        Self {
            batch_max: self.batch_max.or(implied),
            ..self
        }
    }

    /// These settings, overridden by the fields that `newer` sets. An old `paused: false` is
    /// dropped: every record with it also resumes the members that stopped at the poison limit, and
    /// only `newer` may ask for that.
    #[must_use]
    pub fn merged(self, newer: Self) -> Self {
        let newer = newer.with_implied_batch_max();
        let crash = match newer.crash_at {
            Some(_) => &newer,
            None => &self,
        };
        Self {
            processing_time_ms: newer.processing_time_ms.or(self.processing_time_ms),
            batch_max: newer.batch_max.or(self.batch_max),
            paused: newer.paused.or(self.paused.filter(|paused| *paused)),
            crash_at: crash.crash_at,
            crash_at_repeat: crash.crash_at_repeat,
            crash_at_since: crash.crash_at_since,
            protection_off: newer.protection_off.or(self.protection_off),
        }
    }
}

#[cfg(test)]
mod tests;
