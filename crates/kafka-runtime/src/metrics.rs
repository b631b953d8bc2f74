//! What a member counts. Labels are closed sets: never an id, an offset or a message.

pub(crate) mod client;
mod figures;
pub(crate) mod pool;

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, exponential_buckets,
};
use shared_events::{PoisonClass, Topic};

use crate::member::assignment::{Partition, TopicNames};
use crate::member::verdict::Skipped;
use figures::{OfTopic, Rate, of_topics};

/// Why a batch came again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedIn {
    /// The effect failed.
    Effect,
    /// Settling failed.
    Settle,
    /// The group moved on meanwhile.
    Group,
}

/// Why a record of `sandbox.controls` was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    UnknownKey,
    NotAnObject,
    OutOfBounds,
    NamesNothing,
}

/// The counter of one reason.
pub(crate) fn ignored(counters: &IntCounterVec, why: Ignored) -> IntCounter {
    counters.with_label_values(&[match why {
        Ignored::UnknownKey => "unknown_key",
        Ignored::NotAnObject => "not_an_object",
        Ignored::OutOfBounds => "out_of_bounds",
        Ignored::NamesNothing => "names_nothing",
    }])
}

/// The metrics of one member.
pub(crate) struct MemberMetrics {
    consumed: IntCounterVec,
    consumer_id: String,
    by_partition: BTreeMap<Partition, IntCounter>,
    by_topic: BTreeMap<Topic, OfTopic>,
    rate: Rate,
    pub(crate) rebalances: IntCounter,
    pub(crate) ignored_controls: IntCounterVec,
    pub(crate) running: IntGauge,
    skipped: IntCounterVec,
    dead_letters: IntCounterVec,
    failed: IntCounterVec,
    seconds: HistogramVec,
    batch_records: Histogram,
    pub(crate) paused: IntGauge,
    pub(crate) assigned: IntGauge,
}

impl MemberMetrics {
    /// Registers them; every counter with a closed label set begins at 0, so that its first rise is a rise.
    pub(crate) fn new(
        registry: &Registry,
        consumer_id: &str,
        topics: &TopicNames,
    ) -> Result<Self, Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let consumed = counter(
            "kafka_messages_consumed_total",
            "Records of settled batches.",
            &["topic", "consumer_id", "partition"],
        )?;
        let skipped = counter(
            "kafka_records_skipped_total",
            "Sound records passed over.",
            &["reason"],
        )?;
        let dead_letters = counter("dead_letters_total", "Records set aside.", &["class"])?;
        let failed = counter(
            "consumer_batches_failed_total",
            "Batches that came again.",
            &["stage"],
        )?;
        // 0.5 ms to 4 s, doubling.
        let buckets = exponential_buckets(0.000_5, 2.0, 14)?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("consumer_batch_seconds", "Time a batch spent in a stage.")
                .buckets(buckets),
            &["stage"],
        )?;
        let records = HistogramOpts::new("consumer_batch_records", "Records of a batch.");
        let batch_records =
            Histogram::with_opts(records.buckets(exponential_buckets(1.0, 2.0, 14)?))?;
        let of_member =
            |name: &str, help: &str| Opts::new(name, help).const_label("consumer_id", consumer_id);
        let paused = IntGauge::with_opts(of_member(
            "kafka_consumer_paused",
            "1 while the member takes no records on purpose.",
        ))?;
        let running = IntGauge::with_opts(of_member(
            "kafka_consumer_running",
            "1 while the member's loop runs.",
        ))?;
        let rate = Gauge::with_opts(of_member(
            "kafka_consumer_messages_per_second",
            "Records of settled batches, over the last seconds.",
        ))?;
        let rebalances = IntCounter::with_opts(of_member(
            "kafka_consumer_rebalances_total",
            "Assignments that the group gave this member, also those that changed nothing.",
        ))?;
        let ignored_controls = counter(
            "kafka_controls_ignored_total",
            "Records of sandbox.controls that are rubbish.",
            &["reason"],
        )?;
        let assigned = IntGauge::new(
            "kafka_consumer_assigned_partitions",
            "Partitions that are this member's, of all its topics.",
        )?;
        for vector in [
            &consumed,
            &skipped,
            &dead_letters,
            &failed,
            &ignored_controls,
        ] {
            registry.register(Box::new(vector.clone()))?;
        }
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(batch_records.clone()))?;
        registry.register(Box::new(paused.clone()))?;
        registry.register(Box::new(assigned.clone()))?;
        registry.register(Box::new(running.clone()))?;
        registry.register(Box::new(rate.clone()))?;
        registry.register(Box::new(rebalances.clone()))?;
        let metrics = Self {
            consumed,
            consumer_id: consumer_id.to_owned(),
            by_partition: BTreeMap::new(),
            by_topic: of_topics(registry, consumer_id, topics)?,
            rate: Rate::new(rate),
            rebalances,
            ignored_controls,
            running,
            skipped,
            dead_letters,
            failed,
            seconds,
            batch_records,
            paused,
            assigned,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    fn begin_at_zero(&self) {
        for reason in [
            Skipped::NotOurs,
            Skipped::UnknownType,
            Skipped::ReplayedForAnother,
        ] {
            self.skipped(reason, 0);
        }
        for class in PoisonClass::ALL {
            self.dead_letters.with_label_values(&[class.name()]);
        }
        for stage in [FailedIn::Effect, FailedIn::Settle, FailedIn::Group] {
            self.failed.with_label_values(&[stage.label()]);
        }
        for why in [
            Ignored::UnknownKey,
            Ignored::NotAnObject,
            Ignored::OutOfBounds,
            Ignored::NamesNothing,
        ] {
            ignored(&self.ignored_controls, why);
        }
    }

    /// Records of a partition that were settled.
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

    pub(crate) fn skipped(&self, reason: Skipped, records: u64) {
        let label = match reason {
            Skipped::NotOurs => "not_ours",
            Skipped::UnknownType => "unknown_type",
            Skipped::ReplayedForAnother => "replayed_for_another",
        };
        self.skipped.with_label_values(&[label]).inc_by(records);
    }

    pub(crate) fn dead_letter(&self, class: PoisonClass) {
        self.dead_letters.with_label_values(&[class.name()]).inc();
    }

    pub(crate) fn failed(&self, stage: FailedIn) {
        self.failed.with_label_values(&[stage.label()]).inc();
    }

    /// A batch that failed, or a record set aside, of this topic.
    pub(crate) fn error(&self, topic: Topic) {
        if let Some(metrics) = self.by_topic.get(&topic) {
            metrics.errors.inc();
        }
    }

    /// A turn of the loop: the rate may be due.
    pub(crate) fn tick(&mut self) {
        self.rate.tick();
    }

    /// How many records of each partition a batch had, how long its effect and its settling took, and how long all of it, with
    /// what work was simulated. Each record counts with its share of that.
    pub(crate) fn settled(
        &mut self,
        records: &BTreeMap<Partition, u64>,
        effect: Duration,
        settle: Duration,
        took: Duration,
    ) {
        let all: u64 = records.values().sum();
        self.batch_records.observe(all as f64);
        self.rate.records += all;
        let share = took.as_secs_f64() / all.max(1) as f64;
        for (partition, records) in records {
            if let Some(metrics) = self.by_topic.get(&partition.topic) {
                (0..*records).for_each(|_| metrics.seconds.observe(share));
            }
        }
        self.seconds
            .with_label_values(&["effect"])
            .observe(effect.as_secs_f64());
        self.seconds
            .with_label_values(&["settle"])
            .observe(settle.as_secs_f64());
    }
}

impl FailedIn {
    fn label(self) -> &'static str {
        match self {
            Self::Effect => "effect",
            Self::Settle => "settle",
            Self::Group => "group_moved",
        }
    }
}
