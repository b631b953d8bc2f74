//! What a person can ask of every member of a service's group at once: a record in `sandbox.controls`.

use serde::{Deserialize, Serialize};

use crate::OutOfBounds;

/// Longest simulated work, milliseconds. Below the 45 s that one turn of a member may take (`max.poll.interval.ms` is 60 s).
pub const PROCESSING_TIME_MS_MAX: u32 = 30_000;

/// Most records of a batch.
pub const BATCH_MAX_MAX: u32 = 10_000;

/// Settings for all members of a group. A field that is absent asks for nothing.
///
/// The value of a record in `sandbox.controls`, whose key is the service's name; a record without a value takes everything back.
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
}
