//! Money, exact.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use crate::OutOfBounds;

/// An amount of money from 0.01 to 1 000 000.00 with two decimals.
///
/// On the wire it is a JSON number. It is read from, and written as, the digits themselves (`serde_json`'s `RawValue`), so
/// it never passes through a float: a float would take `0.005` for `0.01` or lose a cent of a large sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    /// What an amount is, in words.
    pub const LIMIT: OutOfBounds =
        OutOfBounds("must be a number from 0.01 to 1000000.00 with at most two decimals");

    /// The amount, always kept with two decimals, so that it is written in one way only.
    pub fn new(value: Decimal) -> Result<Self, OutOfBounds> {
        let in_range = value > Decimal::ZERO && value <= Decimal::from(1_000_000);
        if !in_range || value.scale() > 2 {
            return Err(Self::LIMIT);
        }
        let mut value = value;
        value.rescale(2);
        Ok(Self(value))
    }

    /// The amount as a decimal with two decimals, for PostgreSQL's `NUMERIC`.
    pub fn as_decimal(self) -> Decimal {
        self.0
    }
}

impl std::str::FromStr for Amount {
    type Err = OutOfBounds;

    /// Reads what JSON calls a number (`250.5`, `2.5e2`), and nothing else.
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
    fn an_amount_is_written_with_the_two_decimals_it_was_read_with() {
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
    fn what_is_no_amount_is_refused() {
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
    fn an_amount_survives_a_json_value() {
        let amount: Amount = serde_json::from_str("0.10").unwrap();
        let value = serde_json::json!({"amount": 0.1});
        assert_eq!(
            serde_json::from_value::<Amount>(value["amount"].clone()).unwrap(),
            amount
        );
    }

    proptest::proptest! {
        #[test]
        fn every_number_of_cents_survives_the_wire(cents in 1i64..=100_000_000) {
            let amount = Amount::new(Decimal::new(cents, 2)).unwrap();
            let wire = serde_json::to_string(&amount).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Amount>(&wire).unwrap(), amount);
        }
    }
}
