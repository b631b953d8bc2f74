//! What became of a load's orders.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart, microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Counts of one load, which whoever gets its answers adds to.
#[derive(Debug)]
pub struct Tally(Mutex<Counts>);

/// What is known so far.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Orders acknowledged.
    pub acknowledged: u64,
    /// Orders refused, lost or given up.
    pub failed: u64,
    /// Why the first of these failed.
    pub first_failure: Option<String>,
    /// Orders acknowledged by each partition, where that is known.
    pub by_partition: BTreeMap<i32, u64>,
    /// When the last was acknowledged.
    pub last: Option<Instant>,
    /// Microseconds from when an order was due until it was acknowledged; three digits are exact.
    latency: Option<Histogram<u64>>,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the orders took no longer.
    pub p50: f64,
    /// 90 % of them.
    pub p90: f64,
    /// 99 % of them.
    pub p99: f64,
    /// 99.9 % of them.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            acknowledged: 0,
            failed: 0,
            first_failure: None,
            by_partition: BTreeMap::new(),
            last: None,
            // These bounds are ones that it takes.
            latency: Histogram::new_with_bounds(1, LONGEST_US, 3).ok(),
        }))
    }
}

impl Tally {
    /// One more, at this moment, after this much time since it was due, on this partition if that is known.
    pub fn acknowledged(&self, at: Instant, after: Duration, partition: Option<i32>) {
        let mut counts = self.lock();
        counts.acknowledged += 1;
        counts.last = Some(at);
        if let Some(partition) = partition {
            *counts.by_partition.entry(partition).or_default() += 1;
        }
        if let Some(latency) = &mut counts.latency {
            let microseconds = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
            latency.saturating_record(microseconds.max(1));
        }
    }

    /// One that was not.
    pub fn failed(&self, why: impl FnOnce() -> String) {
        let mut counts = self.lock();
        counts.failed += 1;
        counts.first_failure.get_or_insert_with(why);
    }

    /// How many are acknowledged or have failed.
    pub fn settled(&self) -> u64 {
        let (acknowledged, failed) = self.so_far();
        acknowledged + failed
    }

    /// Whether any has failed yet.
    pub fn has_failed(&self) -> bool {
        self.lock().failed > 0
    }

    /// Orders acknowledged and failed so far.
    pub fn so_far(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.acknowledged, counts.failed)
    }

    /// All that is known now.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Every change is one of plain numbers: what a panicking thread left is at most one order short.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The latencies; `None` while nothing is acknowledged.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let latency = self
            .latency
            .as_ref()
            .filter(|latency| !latency.is_empty())?;
        let at = |share| latency.value_at_quantile(share) as f64 / 1_000.0;
        Some(Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: latency.max() as f64 / 1_000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentiles_are_of_acknowledged_orders_only_and_exact_to_three_digits() {
        let tally = Tally::default();
        assert_eq!(tally.counts().percentiles(), None);
        for milliseconds in 1..=1_000 {
            tally.acknowledged(Instant::now(), Duration::from_millis(milliseconds), Some(0));
        }
        tally.failed(|| "first".to_owned());
        tally.failed(|| "second".to_owned());
        let counts = tally.counts();
        assert_eq!((counts.acknowledged, counts.failed), (1_000, 2));
        assert_eq!(counts.first_failure.as_deref(), Some("first"));
        assert_eq!(counts.by_partition, BTreeMap::from([(0, 1_000)]));
        let found = counts.percentiles().unwrap();
        for (found, expected) in [
            (found.p50, 500.0),
            (found.p90, 900.0),
            (found.p99, 990.0),
            (found.p999, 999.0),
            (found.max, 1_000.0),
        ] {
            assert!((found - expected).abs() <= expected / 500.0, "{found}");
        }
    }
}
