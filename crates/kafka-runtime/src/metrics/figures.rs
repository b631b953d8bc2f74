//! What is counted of one topic, and how many messages a second there are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry, exponential_buckets,
};
use shared_events::Topic;

use crate::member::assignment::TopicNames;

/// Over how long the rate of messages is taken, at least: longer than the turns of a member that works for seconds on each.
const RATE_OVER: Duration = Duration::from_secs(5);

/// What is counted of one topic.
pub(super) struct OfTopic {
    pub(super) errors: IntCounter,
    pub(super) seconds: Histogram,
}

pub(super) fn of_topics(
    registry: &Registry,
    consumer_id: &str,
    topics: &TopicNames,
) -> Result<BTreeMap<Topic, OfTopic>, Error> {
    let labels = ["topic", "consumer_id"];
    let errors = IntCounterVec::new(
        Opts::new(
            "kafka_consumption_errors_total",
            "Batches that failed and came again, and records set aside.",
        ),
        &labels,
    )?;
    // 0.1 ms, a message's share of a large batch, to 52 s, beyond the longest simulated work, doubling.
    let buckets = exponential_buckets(0.000_1, 2.0, 20)?;
    let opts = HistogramOpts::new(
        "kafka_message_processing_seconds",
        "A message's share of the time from taking its batch to settling it.",
    );
    let seconds = HistogramVec::new(opts.buckets(buckets), &labels)?;
    registry.register(Box::new(errors.clone()))?;
    registry.register(Box::new(seconds.clone()))?;
    let of_topic = |topic| {
        let labels = [topics.name(topic), consumer_id];
        let of_topic = OfTopic {
            errors: errors.with_label_values(&labels),
            seconds: seconds.with_label_values(&labels),
        };
        (topic, of_topic)
    };
    Ok(topics.topics().map(of_topic).collect())
}

/// How many records a second.
pub(super) struct Rate {
    gauge: Gauge,
    since: Instant,
    pub(super) records: u64,
}

impl Rate {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self {
            gauge,
            since: Instant::now(),
            records: 0,
        }
    }

    pub(super) fn tick(&mut self) {
        let over = self.since.elapsed();
        if over >= RATE_OVER {
            self.gauge.set(self.records as f64 / over.as_secs_f64());
            *self = Self::new(self.gauge.clone());
        }
    }
}
