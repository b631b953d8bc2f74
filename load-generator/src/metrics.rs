//! The metrics of load-generator. The only label is the topic.

use std::time::Duration;

use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    Opts, Registry, exponential_buckets,
};

/// Clones share the metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    produced: IntCounter,
    errors: IntCounter,
    latency: Histogram,
    rate: Gauge,
    running: Gauge,
}

impl Metrics {
    /// Registers the metrics of this topic, all at 0. Fails if they are registered already.
    pub fn new(registry: &Registry, topic: &str) -> Result<Self, Error> {
        let opts = |name, help| Opts::new(name, help);
        let label = &["topic"];
        let produced = IntCounterVec::new(
            opts("kafka_messages_produced_total", "Records acknowledged."),
            label,
        )?;
        let errors = IntCounterVec::new(
            opts(
                "kafka_production_errors_total",
                "Records that could not be delivered.",
            ),
            label,
        )?;
        // 0.5 ms to 4 s, doubling.
        let seconds = HistogramOpts::new(
            "kafka_production_latency_seconds",
            "From when a record was due until it was acknowledged.",
        )
        .buckets(exponential_buckets(0.000_5, 2.0, 14)?);
        let latency = HistogramVec::new(seconds, label)?;
        let rate = GaugeVec::new(
            opts(
                "kafka_production_rate_per_second",
                "Records acknowledged per second, in the last second.",
            ),
            label,
        )?;
        let running = Gauge::new(
            "kafka_auto_producer_running",
            "1 while the auto producer runs.",
        )?;
        registry.register(Box::new(produced.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(rate.clone()))?;
        registry.register(Box::new(running.clone()))?;
        Ok(Self {
            produced: produced.with_label_values(&[topic]),
            errors: errors.with_label_values(&[topic]),
            latency: latency.with_label_values(&[topic]),
            rate: rate.with_label_values(&[topic]),
            running,
        })
    }

    /// Counts a record. `latency` is the time from when the record was due until its delivery
    /// report.
    pub fn count(&self, acknowledged: bool, latency: Duration) {
        if acknowledged {
            self.produced.inc();
            self.latency.observe(latency.as_secs_f64());
        } else {
            self.errors.inc();
        }
    }

    /// Sets whether the auto producer runs.
    pub fn set_running(&self, running: bool) {
        self.running.set(if running { 1.0 } else { 0.0 });
    }

    /// Updates the rate every second until dropped.
    pub async fn measure_rate(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let (mut last_produced, mut last_time) = (self.produced.get(), tokio::time::Instant::now());
        loop {
            ticks.tick().await;
            let (produced, now) = (self.produced.get(), tokio::time::Instant::now());
            let seconds = (now - last_time).as_secs_f64();
            if seconds > 0.0 {
                self.rate.set((produced - last_produced) as f64 / seconds);
            }
            (last_produced, last_time) = (produced, now);
        }
    }
}
