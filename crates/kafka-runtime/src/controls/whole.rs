//! Whole numbers with bounds, as a client sends them.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use shared_events::controls::{BATCH_MAX_MAX, PROCESSING_TIME_MS_MAX};

/// A whole number from `LOW` to `HIGH`. What is none is answered with these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole<const LOW: u32, const HIGH: u32>(pub(super) u32);

/// Milliseconds of simulated work.
pub(super) type ProcessingTime = Whole<0, PROCESSING_TIME_MS_MAX>;

/// Most records of a batch.
pub(super) type BatchMax = Whole<1, BATCH_MAX_MAX>;

impl<const LOW: u32, const HIGH: u32> FromStr for Whole<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok();
        let within = number.filter(|number| (LOW..=HIGH).contains(number));
        let wrong = || format!("must be a whole number from {LOW} to {HIGH}");
        within.map(Self).ok_or_else(wrong)
    }
}

impl<'de, const LOW: u32, const HIGH: u32> Deserialize<'de> for Whole<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through the digits, so that 1.5, "2" and 1e400 are answered with the bounds and not with a parser's words.
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        digits.get().parse().map_err(de::Error::custom)
    }
}
