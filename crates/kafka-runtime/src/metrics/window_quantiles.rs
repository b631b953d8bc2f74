//! Quantiles of librdkafka's windows over the last seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, GaugeVec, Opts, Registry};
use rdkafka::statistics::Window;

use super::client_metrics::STATISTICS_INTERVAL;

/// Windows that are older than this are dropped when a document arrives. It is a little less than the interval of documents:
/// a client with one document per interval shows only its last one, and a client with several documents shows all of them.
const SHOWN: Duration = STATISTICS_INTERVAL.saturating_sub(Duration::from_millis(500));

/// A client without a document for this long is gone or blocked, and its quantiles disappear.
const STALE: Duration = STATISTICS_INTERVAL.saturating_mul(3);

/// Windows kept at most: those of 5 s of a client with five documents per second and two brokers.
const MAX_WINDOWS: usize = 64;

const QUANTILES: [&str; 3] = ["0.5", "0.95", "0.99"];

/// One window: its number of measurements, and the values of [`QUANTILES`].
struct Measured {
    at: Instant,
    count: f64,
    values: [f64; 3],
}

/// The quantiles of the last windows. Without a measurement there is no series.
///
/// Exact for one window, as of one broker every 5 s. For several windows it is their mean, weighted by their measurements.
#[derive(Clone)]
pub(super) struct WindowQuantiles {
    gauges: GaugeVec,
    unit: f64,
    recent: Arc<Mutex<VecDeque<Measured>>>,
}

impl WindowQuantiles {
    /// Registers the quantiles. `unit` is one unit of librdkafka in units of the metric, so 1e-6 for microseconds.
    pub(super) fn register(registry: &Registry, opts: Opts, unit: f64) -> Result<Self, Error> {
        let quantiles = Self {
            gauges: GaugeVec::new(opts, &["quantile"])?,
            unit,
            recent: Arc::default(),
        };
        registry.register(Box::new(quantiles.clone()))?;
        Ok(quantiles)
    }

    pub(super) fn update<'w>(&self, windows: impl Iterator<Item = &'w Window>) {
        let at = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|window| at.duration_since(window.at) < SHOWN);
        let measured = windows.filter(|window| window.cnt > 0);
        recent.extend(measured.map(|window| Measured {
            at,
            count: window.cnt as f64,
            values: [window.p50, window.p95, window.p99].map(|value| value as f64),
        }));
        let surplus = recent.len().saturating_sub(MAX_WINDOWS);
        recent.drain(..surplus);
    }

    fn set_gauges(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|window| window.at.elapsed() < STALE);
        let count: f64 = recent.iter().map(|window| window.count).sum();
        if count == 0.0 {
            return self.gauges.reset();
        }
        for (n, quantile) in QUANTILES.iter().enumerate() {
            let value = |window: &Measured| {
                let value = window.values.get(n);
                value.map_or(0.0, |value| value * window.count)
            };
            let sum: f64 = recent.iter().map(value).sum();
            let gauge = self.gauges.with_label_values(&[quantile]);
            gauge.set(sum / count * self.unit);
        }
    }
}

impl Collector for WindowQuantiles {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.set_gauges();
        self.gauges.collect()
    }
}
