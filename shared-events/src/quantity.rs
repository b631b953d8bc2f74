//! How many pieces of a product.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use crate::OutOfBounds;

/// How many pieces an order asks for, from 1 to 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// What a quantity is, in words.
    pub const LIMIT: OutOfBounds = OutOfBounds("must be a whole number from 1 to 10000");

    /// The quantity, or its bound.
    pub fn new(pieces: u32) -> Result<Self, OutOfBounds> {
        if (1..=10_000).contains(&pieces) {
            Ok(Self(pieces))
        } else {
            Err(Self::LIMIT)
        }
    }

    /// The number of pieces.
    pub fn pieces(self) -> u32 {
        self.0
    }

    /// The number of pieces as PostgreSQL's `INTEGER` takes it.
    pub fn as_i32(self) -> i32 {
        // The bound is 10 000, so the cast cannot wrap.
        self.0 as i32
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through the digits, so that 1.5, "2" and 1e400 are answered with the bound and not with a parser's words.
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        let pieces = digits
            .get()
            .parse()
            .map_err(|_| de::Error::custom(Self::LIMIT))?;
        Self::new(pieces).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_from_1_to_10000_are_quantities() {
        for good in ["1", "10000"] {
            assert_eq!(
                serde_json::from_str::<Quantity>(good).unwrap().to_string(),
                good
            );
        }
        for bad in [
            "0",
            "-1",
            "1.5",
            "1.0",
            "10001",
            "1000000000",
            "1e400",
            "\"2\"",
            "null",
            "+1",
        ] {
            assert!(serde_json::from_str::<Quantity>(bad).is_err(), "{bad}");
        }
    }
}
