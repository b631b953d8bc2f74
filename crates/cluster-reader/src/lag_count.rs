//! A number of records that is known exactly, or between two bounds.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// A number of records: exact, or only known to lie between two bounds, because part of the log
/// was not scanned. `0 <= lower <= upper`.
///
/// Everything that shows such a number uses [`Display`](fmt::Display): `902`, `≥ 700, ≤ 1628`, or
/// `≤ 1628` if the lower bound is 0. In an API there are three fields: `lag`, which is null unless
/// the number is exact, `lag_at_least`, and `lag_at_most`. A rate or a time is computed from
/// [`LagCount::exact`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LagCount {
    lower: i64,
    upper: i64,
}

impl LagCount {
    /// Exactly 0.
    pub const ZERO: Self = Self::of(0);

    /// Exactly this number. A negative number counts as 0.
    pub const fn of(records: i64) -> Self {
        let records = if records < 0 { 0 } else { records };
        Self {
            lower: records,
            upper: records,
        }
    }

    /// At least `lower` and at most `upper`. Bounds in the wrong order are exchanged, and a negative
    /// bound counts as 0.
    pub const fn between(lower: i64, upper: i64) -> Self {
        let (lower, upper) = if lower <= upper {
            (lower, upper)
        } else {
            (upper, lower)
        };
        Self {
            lower: Self::of(lower).lower,
            upper: Self::of(upper).upper,
        }
    }

    /// At least this number of records.
    pub const fn lower(self) -> i64 {
        self.lower
    }

    /// At most this number of records.
    pub const fn upper(self) -> i64 {
        self.upper
    }

    /// The number, if it is exact.
    pub const fn exact(self) -> Option<i64> {
        if self.is_exact() {
            Some(self.lower)
        } else {
            None
        }
    }

    /// Whether both bounds are equal.
    pub const fn is_exact(self) -> bool {
        self.lower == self.upper
    }

    /// `1 record`, `2 records`, `≤ 1 records`.
    pub fn records(self) -> String {
        match self.exact() {
            Some(1) => "1 record".to_owned(),
            _ => format!("{self} records"),
        }
    }

    /// `1 record waits`, `2 records wait`.
    pub fn records_wait(self) -> String {
        let verb = match self.exact() {
            Some(1) => "waits",
            _ => "wait",
        };
        format!("{} {verb}", self.records())
    }
}

/// A sum of bounds saturates.
impl Add for LagCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lower: self.lower.saturating_add(other.lower),
            upper: self.upper.saturating_add(other.upper),
        }
    }
}

impl Sum for LagCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for LagCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.exact(), self.lower) {
            (Some(records), _) => write!(f, "{records}"),
            (None, 0) => write!(f, "≤ {}", self.upper),
            (None, lower) => write!(f, "≥ {lower}, ≤ {}", self.upper),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_exact_shows_both_bounds() {
        let shown = |count: LagCount| (count.to_string(), count.exact());
        assert_eq!(shown(LagCount::of(902)), ("902".to_owned(), Some(902)));
        let bounds = LagCount::between(700, 1628);
        assert_eq!(shown(bounds), ("≥ 700, ≤ 1628".to_owned(), None));
        assert_eq!(shown(LagCount::between(0, 5)), ("≤ 5".to_owned(), None));
        assert_eq!(LagCount::between(5, 3), LagCount::between(3, 5));
        assert_eq!(LagCount::of(-1), LagCount::ZERO);
    }

    #[test]
    fn a_sum_is_exact_only_if_each_part_is() {
        let sum = |parts: &[LagCount]| parts.iter().copied().sum::<LagCount>();
        assert_eq!(sum(&[LagCount::of(2), LagCount::of(3)]), LagCount::of(5));
        let bounds = LagCount::between(1, 4);
        assert_eq!(sum(&[LagCount::of(2), bounds]), LagCount::between(3, 6));
        let largest = LagCount::of(i64::MAX);
        assert_eq!(largest + bounds, LagCount::of(i64::MAX));
    }

    #[test]
    fn one_record_is_singular() {
        assert_eq!(LagCount::of(1).records_wait(), "1 record waits");
        assert_eq!(LagCount::of(2).records_wait(), "2 records wait");
        assert_eq!(LagCount::between(0, 1).records_wait(), "≤ 1 records wait");
    }
}
