//! The one bounded integer of the workspace: query parameters, form fields and JSON fields.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A whole number from `LOW` to `HIGH`, both included. Anything else is an error that names both
/// bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundedInt<const LOW: u64, const HIGH: u64>(pub u64);

impl<const LOW: u64, const HIGH: u64> BoundedInt<LOW, HIGH> {
    /// The number as a `u32`. Does not compile if `HIGH` is larger than a `u32`.
    pub const fn get_u32(self) -> u32 {
        const { assert!(HIGH <= u32::MAX as u64) };
        self.0 as u32
    }
}

impl<const LOW: u64, const HIGH: u64> FromStr for BoundedInt<LOW, HIGH> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok();
        let number = number.filter(|number| (LOW..=HIGH).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("must be a whole number from {LOW} to {HIGH}"))
    }
}

impl<'de, const LOW: u64, const HIGH: u64> Deserialize<'de> for BoundedInt<LOW, HIGH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // From the JSON text, so that the error for 1.5, "2" and 1e400 names the bounds as well.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        text.get().parse().map_err(de::Error::custom)
    }
}
