//! The metrics of a member. Labels are closed sets: never an id, an offset or a message.

pub(crate) mod client_metrics;
pub(crate) mod labels;
pub(crate) mod pool_metrics;
mod processing_metrics;
mod window_quantiles;

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Counter, Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry, exponential_buckets,
};
use shared_events::{PoisonClass, Topic};

use crate::topic_partitions::{Partition, TopicNames};
use labels::{FailedStage, IgnoreReason, RetryPlace, SkipReason};
use processing_metrics::{MessageRate, ProcessingMetrics, processing_metrics};

/// The metrics of one member.
pub(crate) struct MemberMetrics {
    consumed: IntCounterVec,
    consumer_id: String,
    by_partition: BTreeMap<Partition, IntCounter>,
    by_topic: BTreeMap<Topic, ProcessingMetrics>,
    rate: MessageRate,
    records_lost: IntCounterVec,
    pub(crate) rebalances: IntCounter,
    pub(crate) ignored_controls: IntCounterVec,
    pub(crate) running: IntGauge,
    skipped: IntCounterVec,
    dead_letters: IntCounterVec,
    failed: IntCounterVec,
    retries: IntCounterVec,
    blocked: Counter,
    seconds: HistogramVec,
    batch_records: Histogram,
    pub(crate) paused: IntGauge,
    pub(crate) assigned: IntGauge,
}

impl MemberMetrics {
    /// Registers the metrics. A counter with a closed label set begins at 0, so that `increase` sees its first event.
    pub(crate) fn new(
        registry: &Registry,
        consumer_id: &str,
        topics: &TopicNames,
    ) -> Result<Self, Error> {
        let register = Register {
            registry,
            consumer_id,
        };
        let metrics = Self {
            consumed: register.counters(
                "kafka_messages_consumed_total",
                "Records of committed batches.",
                &["topic", "consumer_id", "partition"],
            )?,
            consumer_id: consumer_id.to_owned(),
            by_partition: BTreeMap::new(),
            by_topic: processing_metrics(registry, consumer_id, topics)?,
            rate: MessageRate::new(register.rate(
                "kafka_consumer_messages_per_second",
                "Records of committed batches per second, over at least 5 s.",
            )?),
            records_lost: register.counters(
                "kafka_consumer_records_lost_total",
                "Offsets that were deleted before they were consumed: an upper bound of the lost records.",
                &["topic"],
            )?,
            rebalances: register.member_counter(
                "kafka_consumer_rebalances_total",
                "Assignments that the group gave this member, also those that changed nothing.",
            )?,
            ignored_controls: register.counters(
                "kafka_controls_ignored_total",
                "Records of sandbox.controls that were ignored: invalid ones, and faults without SANDBOX_UNSAFE=1.",
                &["reason"],
            )?,
            running: register
                .member_gauge("kafka_consumer_running", "1 while the consumer loop runs.")?,
            skipped: register.counters(
                "kafka_records_skipped_total",
                "Valid records that were skipped.",
                &["reason"],
            )?,
            dead_letters: register.counters(
                "dead_letters_total",
                "Records sent to the dead-letter topic.",
                &["class"],
            )?,
            failed: register.counters(
                "consumer_batches_failed_total",
                "Batches that failed and are retried.",
                &["stage"],
            )?,
            retries: register.counters(
                "kafka_retries_total",
                "Records that failed for now and are tried again, by where they wait.",
                &["place"],
            )?,
            blocked: register.added(Counter::new(
                "kafka_consumer_blocked_seconds_total",
                "Time that partitions waited for a record that failed for now, the sum of all partitions.",
            ))?,
            seconds: register.stage_seconds()?,
            batch_records: register.batch_records()?,
            paused: register.member_gauge(
                "kafka_consumer_paused",
                "1 while the member takes no records on purpose.",
            )?,
            assigned: register.added(IntGauge::new(
                "kafka_consumer_assigned_partitions",
                "Partitions assigned to this member, of all its topics.",
            ))?,
        };
        metrics.begin_at_zero(topics);
        Ok(metrics)
    }

    fn begin_at_zero(&self, topics: &TopicNames) {
        for topic in topics.names() {
            self.records_lost.with_label_values(&[topic]);
        }
        for reason in SkipReason::ALL {
            self.skipped(reason, 0);
        }
        for class in PoisonClass::ALL {
            self.dead_letters.with_label_values(&[class.name()]);
        }
        for stage in FailedStage::ALL {
            self.failed.with_label_values(&[stage.label()]);
        }
        for place in RetryPlace::ALL {
            self.retried(place, 0);
        }
        for reason in IgnoreReason::ALL {
            self.ignored_controls.with_label_values(&[reason.label()]);
        }
    }

    /// Counts the committed records of a partition.
    pub(crate) fn consumed(&mut self, names: &TopicNames, partition: Partition, records: u64) {
        let Self {
            consumed,
            consumer_id,
            by_partition,
            ..
        } = self;
        let counter = by_partition.entry(partition).or_insert_with(|| {
            consumed.with_label_values(&[
                names.name(partition.topic),
                consumer_id,
                &partition.number.to_string(),
            ])
        });
        counter.inc_by(records);
    }

    pub(crate) fn records_lost(&self, topic: &str, offsets: u64) {
        self.records_lost
            .with_label_values(&[topic])
            .inc_by(offsets);
    }

    pub(crate) fn skipped(&self, reason: SkipReason, records: u64) {
        let counter = self.skipped.with_label_values(&[reason.label()]);
        counter.inc_by(records);
    }

    pub(crate) fn dead_letter(&self, class: PoisonClass) {
        self.dead_letters.with_label_values(&[class.name()]).inc();
    }

    pub(crate) fn failed(&self, stage: FailedStage) {
        self.failed.with_label_values(&[stage.label()]).inc();
    }

    pub(crate) fn retried(&self, place: RetryPlace, records: usize) {
        let counter = self.retries.with_label_values(&[place.label()]);
        counter.inc_by(records as u64);
    }

    /// A partition waits this long for a record that failed for now.
    pub(crate) fn blocked(&self, wait: Duration) {
        self.blocked.inc_by(wait.as_secs_f64());
    }

    /// A failed batch or a dead letter of this topic.
    pub(crate) fn error(&self, topic: Topic) {
        if let Some(metrics) = self.by_topic.get(&topic) {
            metrics.errors.inc();
        }
    }

    /// Updates the message rate when its interval is over. Called once per run of the loop.
    pub(crate) fn tick(&mut self) {
        self.rate.tick();
    }

    /// Observes a committed batch, given its number of records by partition. Each record is observed with its share of `total`.
    pub(crate) fn committed(&mut self, records: &BTreeMap<Partition, u64>, times: &BatchTimes) {
        let all: u64 = records.values().sum();
        self.batch_records.observe(all as f64);
        self.rate.records += all;
        let share = times.total.as_secs_f64() / all.max(1) as f64;
        for (partition, records) in records {
            if let Some(metrics) = self.by_topic.get(&partition.topic) {
                (0..*records).for_each(|_| metrics.seconds.observe(share));
            }
        }
        for (stage, time) in [("apply", times.apply), ("commit", times.commit)] {
            let histogram = self.seconds.with_label_values(&[stage]);
            histogram.observe(time.as_secs_f64());
        }
    }
}

/// Creates metrics and registers them. Fails if the registry has a metric of this name and these labels already.
struct Register<'r> {
    registry: &'r Registry,
    consumer_id: &'r str,
}

impl Register<'_> {
    fn added<M: Collector + Clone + 'static>(&self, metric: Result<M, Error>) -> Result<M, Error> {
        let metric = metric?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn member_opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).const_label("consumer_id", self.consumer_id)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.added(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn member_counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.added(IntCounter::with_opts(self.member_opts(name, help)))
    }

    fn member_gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.added(IntGauge::with_opts(self.member_opts(name, help)))
    }

    fn rate(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        self.added(Gauge::with_opts(self.member_opts(name, help)))
    }

    fn stage_seconds(&self) -> Result<HistogramVec, Error> {
        let help = "Time a batch spent in a stage: apply or commit.";
        let opts = HistogramOpts::new("consumer_batch_seconds", help);
        // 0.5 ms to 4 s.
        let opts = opts.buckets(exponential_buckets(0.000_5, 2.0, 14)?);
        self.added(HistogramVec::new(opts, &["stage"]))
    }

    fn batch_records(&self) -> Result<Histogram, Error> {
        let opts = HistogramOpts::new("consumer_batch_records", "Records of a batch.");
        let opts = opts.buckets(exponential_buckets(1.0, 2.0, 14)?);
        self.added(Histogram::with_opts(opts))
    }
}

/// How long a batch took.
pub(crate) struct BatchTimes {
    pub(crate) apply: Duration,
    pub(crate) commit: Duration,
    /// From its collection to its commit, with simulated work.
    pub(crate) total: Duration,
}
