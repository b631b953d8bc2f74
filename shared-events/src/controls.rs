//! What a person can ask of every member of a service's group at once: a record in `sandbox.controls`.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::OutOfBounds;

/// Longest simulated work, milliseconds. Below the 45 s that one turn of a member may take (`max.poll.interval.ms` is 60 s).
pub const PROCESSING_TIME_MS_MAX: u32 = 30_000;

/// Most records of a batch.
pub const BATCH_MAX_MAX: u32 = 10_000;

/// Most records of a batch, unless somebody asks for another number.
pub const BATCH_MAX_DEFAULT: u32 = 500;

/// Settings for all members of a group. A field that is absent asks for nothing.
///
/// The value of a record in `sandbox.controls`, whose key is the service's name; a record without a value takes everything back.
/// The topic is compacted, so the last record of a service is all that holds: it replaces the one before it and adds nothing to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupControls {
    /// Simulated work: milliseconds of waiting a handler call, 0 to 30 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time_ms: Option<u32>,
    /// Most records of a batch, 1 to 10 000. 1 is "each message".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_max: Option<u32>,
    /// Whether to take no records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// Why a record of `sandbox.controls` is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongControls {
    /// Its value is no JSON object.
    #[error("its value is not a JSON object")]
    NotAnObject,
    /// A field is of a wrong type, given twice, or out of its bounds.
    #[error("{0}")]
    OutOfBounds(String),
    /// None of the fields known here is in it.
    #[error("it names none of processing_time_ms, batch_max and paused")]
    NamesNothing,
}

impl GroupControls {
    /// Checks the bounds of every field. The error names the field and its limit.
    pub fn check(&self) -> Result<(), OutOfBounds> {
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

    /// Reads the value of a record. Fields that nobody here knows are passed over: a newer release may have more.
    pub fn decode(value: &[u8]) -> Result<Self, WrongControls> {
        // serde would also take an array for the fields in their order.
        if value.trim_ascii_start().first() != Some(&b'{') {
            return Err(WrongControls::NotAnObject);
        }
        let controls: Self =
            serde_json::from_slice(value).map_err(|error| match error.classify() {
                Category::Data => WrongControls::OutOfBounds(error.to_string()),
                Category::Syntax | Category::Eof | Category::Io => WrongControls::NotAnObject,
            })?;
        controls
            .check()
            .map_err(|limit| WrongControls::OutOfBounds(limit.to_string()))?;
        if controls.names_nothing() {
            return Err(WrongControls::NamesNothing);
        }
        Ok(controls)
    }

    /// Whether it asks for nothing at all.
    pub fn names_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// With what a time that comes without `batch_max` means for it. A positive one asks for 1, since "so long for each message"
    /// is what it is for; 0 asks for the default again.
    #[must_use]
    pub fn completed(self) -> Self {
        let implied = self.processing_time_ms.map(|time| match time {
            0 => BATCH_MAX_DEFAULT,
            _ => 1,
        });
        Self {
            batch_max: self.batch_max.or(implied),
            ..self
        }
    }

    /// What holds when `newer` is asked for besides this. A bygone `paused: false` is left out: each record that has it also
    /// resumes members that stopped by themselves, and nobody asked for that again.
    #[must_use]
    pub fn merged(self, newer: Self) -> Self {
        let newer = newer.completed();
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
    fn what_is_written_is_read_and_unknown_fields_are_passed_over() {
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
    fn rubbish_is_told_by_its_kind() {
        let wrong = |value: &[u8]| GroupControls::decode(value).unwrap_err();
        for value in [
            &b""[..],
            b"{",
            b"null",
            b"[2000, 1, true]",
            b"1",
            b"{\"paused\": \xff}",
            b"{} {}",
        ] {
            assert_eq!(wrong(value), WrongControls::NotAnObject, "{value:?}");
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
            let wrong = wrong(value.as_bytes());
            assert!(matches!(wrong, WrongControls::OutOfBounds(_)), "{value}");
        }
        for value in [r#"{}"#, r#"{"colour": 1}"#, r#"{"paused": null}"#] {
            assert_eq!(wrong(value.as_bytes()), WrongControls::NamesNothing);
        }
    }

    #[test]
    fn a_time_without_a_batch_means_each_message_and_none_means_the_default() {
        for (given, batch_max) in [
            (r#"{"processing_time_ms": 1}"#, Some(1)),
            (r#"{"processing_time_ms": 0}"#, Some(BATCH_MAX_DEFAULT)),
            (r#"{"processing_time_ms": 1, "batch_max": 9}"#, Some(9)),
            (r#"{"processing_time_ms": 0, "batch_max": 9}"#, Some(9)),
            (r#"{"paused": true}"#, None),
        ] {
            assert_eq!(controls(given).completed().batch_max, batch_max, "{given}");
        }
    }

    #[test]
    fn what_is_asked_for_later_wins_and_an_old_resume_is_not_repeated() {
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
