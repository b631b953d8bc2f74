//! A number of records in an answer: three fields, of which the first is null unless the number is
//! exact. All three are null if the lag is unknown.

use cluster_reader::LagCount;
use serde::Serialize;

/// The lag of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TotalLagFields {
    pub total_lag: Option<i64>,
    pub total_lag_at_least: Option<i64>,
    pub total_lag_at_most: Option<i64>,
}

/// The lag of a group on one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LagFields {
    pub lag: Option<i64>,
    pub lag_at_least: Option<i64>,
    pub lag_at_most: Option<i64>,
}

impl From<Option<LagCount>> for TotalLagFields {
    fn from(lag: Option<LagCount>) -> Self {
        Self {
            total_lag: lag.and_then(LagCount::exact),
            total_lag_at_least: lag.map(LagCount::lower),
            total_lag_at_most: lag.map(LagCount::upper),
        }
    }
}

impl From<Option<LagCount>> for LagFields {
    fn from(lag: Option<LagCount>) -> Self {
        Self {
            lag: lag.and_then(LagCount::exact),
            lag_at_least: lag.map(LagCount::lower),
            lag_at_most: lag.map(LagCount::upper),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_exact_or_has_both_bounds_or_is_unknown() {
        for (lag, expected) in [
            (Some(LagCount::of(9)), json!([9, 9, 9])),
            (Some(LagCount::between(3, 9)), json!([null, 3, 9])),
            (None, json!([null, null, null])),
        ] {
            let fields = json!(LagFields::from(lag));
            let all = json!([fields["lag"], fields["lag_at_least"], fields["lag_at_most"]]);
            assert_eq!(all, expected);
            let total = json!(TotalLagFields::from(lag));
            let names = ["total_lag", "total_lag_at_least", "total_lag_at_most"];
            assert_eq!(json!(names.map(|name| &total[name])), expected);
        }
    }
}
