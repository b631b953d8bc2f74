//! Amounts of money, exact.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use crate::OutOfBounds;

/// An amount of money from 0.01 to 1 000 000.00 with two decimals.
///
/// In JSON it is a number. `serde_json`'s `RawValue` gives access to its digits, so the amount is
/// never a float. A float could turn `0.005` into `0.01` or lose a cent of a large amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    /// The bounds, in words.
    pub const LIMIT: OutOfBounds =
        OutOfBounds("must be a number from 0.01 to 1000000.00 with at most two decimals");

    /// Checks the bounds. The amount is stored with two decimals, so equal amounts have equal text.
    ///
    /// # Errors
    /// [`Self::LIMIT`].
    pub fn new(value: Decimal) -> Result<Self, OutOfBounds> {
        let in_range = value > Decimal::ZERO && value <= Decimal::from(1_000_000);
        if !in_range || value.scale() > 2 {
            return Err(Self::LIMIT);
        }
        let mut value = value;
        value.rescale(2);
        Ok(Self(value))
    }

    /// For PostgreSQL's `NUMERIC`, with two decimals.
    pub fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl std::str::FromStr for Amount {
    type Err = OutOfBounds;

    /// Accepts the syntax of a JSON number (`250.5`, `2.5e2`) and no other.
    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(Self::LIMIT);
        }
        let value = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)
        } else {
            Decimal::from_str_exact(text)
        };
        Self::new(value.map_err(|_| Self::LIMIT)?)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string())
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Box::<RawValue>::deserialize(deserializer)?;
        digits.get().parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_with_two_decimals() {
        for (read, written) in [
            ("250.5", "250.50"),
            ("1", "1.00"),
            ("0.01", "0.01"),
            ("1000000", "1000000.00"),
            ("2.5e2", "250.00"),
        ] {
            let amount: Amount = serde_json::from_str(read).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), written);
        }
    }

    #[test]
    fn an_invalid_amount_is_rejected() {
        for text in [
            "0",
            "-1",
            "0.001",
            "1.100",
            "1000000.01",
            "1e400",
            "1e-3",
            "\"12\"",
            "NaN",
            "null",
            "[]",
            "{}",
            "99999999999999999999999999999999999999999",
        ] {
            assert!(serde_json::from_str::<Amount>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_can_be_read_from_a_json_value() {
        let amount: Amount = serde_json::from_str("0.10").unwrap();
        let value = serde_json::json!({"amount": 0.1});
        assert_eq!(
            serde_json::from_value::<Amount>(value["amount"].clone()).unwrap(),
            amount
        );
    }

    proptest::proptest! {
        #[test]
        fn every_number_of_cents_is_read_as_it_was_written(cents in 1i64..=100_000_000) {
            let amount = Amount::new(Decimal::new(cents, 2)).unwrap();
            let wire = serde_json::to_string(&amount).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Amount>(&wire).unwrap(), amount);
        }
    }
}
