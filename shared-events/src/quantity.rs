//! Numbers of pieces of a product.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use crate::OutOfBounds;

/// The number of pieces in an order, from 1 to 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// The bounds, in words.
    pub const LIMIT: OutOfBounds = OutOfBounds("must be a whole number from 1 to 10000");

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`Self::LIMIT`].
    pub fn new(pieces: u32) -> Result<Self, OutOfBounds> {
        if (1..=10_000).contains(&pieces) {
            Ok(Self(pieces))
        } else {
            Err(Self::LIMIT)
        }
    }

    /// The number of pieces, from 1.
    pub fn pieces(self) -> u32 {
        self.0
    }

    /// For PostgreSQL's `INTEGER`.
    pub fn as_i32(self) -> i32 {
        // At most 10 000, so the cast cannot wrap.
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
        // Through the digits: the error for 1.5, "2" and 1e400 then states the bounds, and is not
        // the text of a parser.
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
