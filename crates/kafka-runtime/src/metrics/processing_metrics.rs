//! How long the messages of a topic take, how many fail, and the rate of all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry, exponential_buckets,
};
use shared_events::Topic;

use crate::topic_partitions::TopicNames;

/// The rate is an average over at least this time, since a batch with simulated work may take seconds.
const RATE_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct ProcessingMetrics {
    pub(super) errors: IntCounter,
    pub(super) seconds: Histogram,
}

pub(super) fn processing_metrics(
    registry: &Registry,
    consumer_id: &str,
    topics: &TopicNames,
) -> Result<BTreeMap<Topic, ProcessingMetrics>, Error> {
    let labels = ["topic", "consumer_id"];
    let errors = IntCounterVec::new(
        Opts::new(
            "kafka_consumption_errors_total",
            "Batches that failed and are retried, and records sent to the dead-letter topic.",
        ),
        &labels,
    )?;
    // 0.1 ms (a message's share of a large batch) to 52 s (beyond the longest simulated work).
    let buckets = exponential_buckets(0.000_1, 2.0, 20)?;
    let opts = HistogramOpts::new(
        "kafka_message_processing_seconds",
        "A message's share of the time from collecting its batch to committing it.",
    );
    let seconds = HistogramVec::new(opts.buckets(buckets), &labels)?;
    registry.register(Box::new(errors.clone()))?;
    registry.register(Box::new(seconds.clone()))?;
    let of_topic = |topic| {
        let labels = [topics.name(topic), consumer_id];
        let metrics = ProcessingMetrics {
            errors: errors.with_label_values(&labels),
            seconds: seconds.with_label_values(&labels),
        };
        (topic, metrics)
    };
    Ok(topics.topics().map(of_topic).collect())
}

/// Committed records per second.
pub(super) struct MessageRate {
    gauge: Gauge,
    since: Instant,
    pub(super) records: u64,
}

impl MessageRate {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self {
            gauge,
            since: Instant::now(),
            records: 0,
        }
    }

    pub(super) fn tick(&mut self) {
        let elapsed = self.since.elapsed();
        if elapsed >= RATE_INTERVAL {
            self.gauge.set(self.records as f64 / elapsed.as_secs_f64());
            *self = Self::new(self.gauge.clone());
        }
    }
}
