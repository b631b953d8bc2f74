//! How many orders of a load were acknowledged, and how fast.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The largest latency of the histogram, microseconds: an hour. A longer one counts as an hour.
const MAX_LATENCY_US: u64 = 3_600_000_000;

/// The counts of one load. Any thread may add to them.
#[derive(Debug)]
pub struct DeliveryStats(Mutex<DeliveryCounts>);

/// The counts at one moment.
#[derive(Debug, Clone)]
pub struct DeliveryCounts {
    /// Orders acknowledged.
    pub acknowledged: u64,
    /// Orders refused, lost or given up.
    pub failed: u64,
    /// The reason of the first failure.
    pub first_failure: Option<String>,
    /// Orders acknowledged by each partition. Empty over HTTP.
    pub by_partition: BTreeMap<i32, u64>,
    /// When the last order was acknowledged.
    pub last: Option<Instant>,
    /// Microseconds from when an order was due until it was acknowledged, exact to three digits.
    latency: Option<Histogram<u64>>,
}

/// Percentiles of the latency, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    pub max: f64,
}

impl Default for DeliveryStats {
    fn default() -> Self {
        Self(Mutex::new(DeliveryCounts {
            acknowledged: 0,
            failed: 0,
            first_failure: None,
            by_partition: BTreeMap::new(),
            last: None,
            // Always Ok for these constant bounds.
            latency: Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).ok(),
        }))
    }
}

impl DeliveryStats {
    /// Counts an order that was acknowledged `at` this moment, `latency` after it was due, by this
    /// partition if it is known.
    pub fn add_acknowledged(&self, at: Instant, latency: Duration, partition: Option<i32>) {
        let mut counts = self.lock();
        counts.acknowledged += 1;
        counts.last = Some(at);
        if let Some(partition) = partition {
            *counts.by_partition.entry(partition).or_default() += 1;
        }
        if let Some(histogram) = &mut counts.latency {
            let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            histogram.saturating_record(microseconds.max(1));
        }
    }

    /// Counts an order that failed. `reason` is called for the first one only.
    pub fn add_failed(&self, reason: impl FnOnce() -> String) {
        let mut counts = self.lock();
        counts.failed += 1;
        counts.first_failure.get_or_insert_with(reason);
    }

    /// Orders acknowledged or failed.
    pub fn completed(&self) -> u64 {
        let (acknowledged, failed) = self.progress();
        acknowledged + failed
    }

    pub fn has_failed(&self) -> bool {
        self.lock().failed > 0
    }

    /// Orders acknowledged, and orders failed.
    pub fn progress(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.acknowledged, counts.failed)
    }

    pub fn counts(&self) -> DeliveryCounts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryCounts> {
        // Only plain numbers are changed, so a thread that panicked has left at most one order
        // uncounted.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliveryCounts {
    /// `None` while no order is acknowledged.
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
    fn percentiles_are_exact_to_three_digits_and_ignore_failures() {
        let stats = DeliveryStats::default();
        assert_eq!(stats.counts().percentiles(), None);
        for milliseconds in 1..=1_000 {
            stats.add_acknowledged(Instant::now(), Duration::from_millis(milliseconds), Some(0));
        }
        stats.add_failed(|| "first".to_owned());
        stats.add_failed(|| "second".to_owned());
        let counts = stats.counts();
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
