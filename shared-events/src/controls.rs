//! Settings of a consumer group that can be changed while its members run.
//!
//! The topic `sandbox.controls` holds one record for each service. Its key is the service's name,
//! and its value is [`GroupControls`] as JSON. A record without a value (a tombstone) resets the
//! group to its defaults.
//!
//! The topic is compacted, so only the last record of a service counts: it replaces the record
//! before it, and fields that are absent in it are not set.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::OutOfBounds;

/// Maximum of `processing_time_ms`. Below the 45 s that a member may spend on one batch
/// (`max.poll.interval.ms` is 60 s).
pub const PROCESSING_TIME_MS_MAX: u32 = 30_000;

/// Maximum of `batch_max`.
pub const BATCH_MAX_MAX: u32 = 10_000;

/// `batch_max` if it is not set.
pub const BATCH_MAX_DEFAULT: u32 = 500;

/// Settings for all members of a group: the value of a record in `sandbox.controls`. A field that
/// is `None` is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupControls {
    /// Simulated work: how long a member waits before each handler call, milliseconds, 0 to 30 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time_ms: Option<u32>,
    /// Maximum number of records in a batch, 1 to 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_max: Option<u32>,
    /// `true`: members consume no records. `false`: members resume, also those that stopped at the
    /// poison limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
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
    #[error("it names none of processing_time_ms, batch_max and paused")]
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
            .is_some_and(|time| time > PROCESSING_TIME_MS_MAX)
        {
            return Err(OutOfBounds("processing_time_ms must be 0 to 30000"));
        }
        if self
            .batch_max
            .is_some_and(|most| !(1..=BATCH_MAX_MAX).contains(&most))
        {
            return Err(OutOfBounds("batch_max must be 1 to 10000"));
        }
        Ok(())
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
        Self {
            processing_time_ms: newer.processing_time_ms.or(self.processing_time_ms),
            batch_max: newer.batch_max.or(self.batch_max),
            paused: newer.paused.or(self.paused.filter(|paused| *paused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls(json: &str) -> GroupControls {
        GroupControls::decode(json.as_bytes()).unwrap()
    }

    #[test]
    fn written_controls_are_read_and_unknown_fields_are_ignored() {
        let all = GroupControls {
            processing_time_ms: Some(2_000),
            batch_max: Some(1),
            paused: Some(true),
        };
        let value = serde_json::to_vec(&all).unwrap();
        assert_eq!(GroupControls::decode(&value), Ok(all));
        let some = controls(r#" {"paused": null, "batch_max": 7, "colour": [1]}"#);
        assert_eq!(
            some,
            GroupControls {
                batch_max: Some(7),
                ..GroupControls::default()
            }
        );
    }

    #[test]
    fn invalid_controls_are_classified() {
        let decode_error = |value: &[u8]| GroupControls::decode(value).unwrap_err();
        for value in [
            &b""[..],
            b"{",
            b"null",
            b"[2000, 1, true]",
            b"1",
            b"{\"paused\": \xff}",
            b"{} {}",
        ] {
            assert_eq!(
                decode_error(value),
                InvalidControls::NotAnObject,
                "{value:?}"
            );
        }
        for value in [
            r#"{"processing_time_ms": 30001}"#,
            r#"{"processing_time_ms": -1}"#,
            r#"{"processing_time_ms": "2000"}"#,
            r#"{"batch_max": 0}"#,
            r#"{"batch_max": 1.5}"#,
            r#"{"paused": "yes"}"#,
            r#"{"batch_max": 1, "batch_max": 2}"#,
        ] {
            let error = decode_error(value.as_bytes());
            assert!(matches!(error, InvalidControls::OutOfBounds(_)), "{value}");
        }
        for value in [r#"{}"#, r#"{"colour": 1}"#, r#"{"paused": null}"#] {
            assert_eq!(
                decode_error(value.as_bytes()),
                InvalidControls::NoKnownField
            );
        }
    }

    #[test]
    fn a_processing_time_without_batch_max_implies_batch_max() {
        for (given, batch_max) in [
            (r#"{"processing_time_ms": 1}"#, Some(1)),
            (r#"{"processing_time_ms": 0}"#, Some(BATCH_MAX_DEFAULT)),
            (r#"{"processing_time_ms": 1, "batch_max": 9}"#, Some(9)),
            (r#"{"processing_time_ms": 0, "batch_max": 9}"#, Some(9)),
            (r#"{"paused": true}"#, None),
        ] {
            assert_eq!(
                controls(given).with_implied_batch_max().batch_max,
                batch_max,
                "{given}"
            );
        }
    }

    #[test]
    fn newer_fields_override_and_an_old_resume_is_not_repeated() {
        let slow = GroupControls::default().merged(controls(r#"{"processing_time_ms": 2000}"#));
        assert_eq!(
            (slow.processing_time_ms, slow.batch_max),
            (Some(2_000), Some(1))
        );
        let batches = slow.merged(controls(r#"{"batch_max": 100}"#));
        let each = batches
            .clone()
            .merged(controls(r#"{"processing_time_ms": 50}"#));
        assert_eq!(batches.batch_max, Some(100));
        assert_eq!(
            (each.processing_time_ms, each.batch_max),
            (Some(50), Some(1))
        );
        let paused = each.merged(controls(r#"{"paused": true}"#));
        assert_eq!(
            paused
                .clone()
                .merged(controls(r#"{"batch_max": 2}"#))
                .paused,
            Some(true)
        );
        let resumed = paused.merged(controls(r#"{"paused": false}"#));
        assert_eq!(resumed.paused, Some(false));
        assert_eq!(resumed.merged(controls(r#"{"batch_max": 2}"#)).paused, None);
    }

    proptest::proptest! {
        #[test]
        fn no_value_panics(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _ = GroupControls::decode(&value);
        }
    }
}
