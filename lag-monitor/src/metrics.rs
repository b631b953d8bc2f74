//! Prometheus metrics of the last poll and of the last search for transactions, present while each
//! is current.
//!
//! A scrape reads [`LagState`] and calls no broker. Names in labels have a bounded length
//! ([`display_name`](crate::format::display_name)), and the number of series is bounded. A member
//! id is in no label.

mod autoscaler_gauges;
mod lag_gauges;
mod poll_counters;
mod transaction_gauges;

use prometheus::{GaugeVec, IntCounterVec, Registry};

use crate::lag_state::LagState;
use autoscaler_gauges::AutoscalerCollector;
use lag_gauges::LagCollector;
use poll_counters::PollCollector;
use transaction_gauges::TransactionCollector;

/// Registers all metrics of the monitor.
///
/// # Errors
/// If the registry already has a metric with one of the names.
pub fn register(registry: &Registry, state: &LagState) -> Result<(), prometheus::Error> {
    registry.register(Box::new(LagCollector::new(state.clone())?))?;
    registry.register(Box::new(PollCollector::new(state.clone())?))?;
    registry.register(Box::new(AutoscalerCollector::new(state.clone())?))?;
    registry.register(Box::new(TransactionCollector::new(state.clone())?))
}

/// Sets a series, or does not create it: `get_metric_with_label_values` alone would create the
/// series with the value 0.
fn set(gauge: &GaugeVec, labels: &[&str], value: Option<f64>) {
    let Some(value) = value else {
        return;
    };
    if let Ok(series) = gauge.get_metric_with_label_values(labels) {
        series.set(value);
    }
}

fn increase(counter: &IntCounterVec, labels: &[&str], value: u64) {
    if let Ok(series) = counter.get_metric_with_label_values(labels) {
        series.inc_by(value);
    }
}
