//! What Prometheus is told: the figures of the last poll, as long as they count.
//!
//! A scrape reads what is known here and asks no broker. Names in labels are bounded ([`shown`]), and so is their number; a member's
//! id is in none.

use std::collections::BTreeSet;

use chrono::Utc;
use cluster_reader::error::ReadError;
use cluster_reader::judge::{Judgement, Status};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use crate::text::shown;
use crate::watch::{Pair, View, Watch};

/// Most series of one name. Beyond that the last ones, in the order of groups, topics and partitions, are left out, and counted.
const MOST_SERIES: usize = 10_000;

const PARTITION: [&str; 3] = ["topic", "group_id", "partition"];
const PAIR: [&str; 2] = ["topic", "group_id"];

/// Registers everything that the monitor tells. Fails if the registry has any of it already.
pub fn register(registry: &Registry, watch: &Watch) -> Result<(), prometheus::Error> {
    let watched = Figures::new()?.descriptions();
    registry.register(Box::new(Lag {
        watch: watch.clone(),
        descriptions: watched,
    }))?;
    let counted = Counted::new()?.descriptions();
    registry.register(Box::new(Polls {
        watch: watch.clone(),
        descriptions: counted,
    }))
}

/// The series that are there only while figures count.
struct Lag {
    watch: Watch,
    descriptions: Vec<Desc>,
}

/// The series that are always there.
struct Polls {
    watch: Watch,
    descriptions: Vec<Desc>,
}

impl Collector for Lag {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(figures) = Figures::new() else {
            return Vec::new();
        };
        let told = self.watch.look(Utc::now(), |view| figures.tell(view));
        told.map_or_else(|_| Vec::new(), |()| figures.families())
    }
}

impl Collector for Polls {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(counted) = Counted::new() else {
            return Vec::new();
        };
        counted.tell(&self.watch);
        counted.families()
    }
}

/// One scrape's figures.
struct Figures {
    lag: GaugeVec,
    total: GaugeVec,
    end: GaugeVec,
    committed: GaugeVec,
    status: GaugeVec,
    rate: GaugeVec,
    oldest: GaugeVec,
    drain: GaugeVec,
    left_out: GaugeVec,
}

impl Figures {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge =
            |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            lag: gauge(
                "kafka_consumer_group_lag",
                "Records that a read_committed consumer of the group would still get; absent where that is not known",
                &PARTITION,
            )?,
            total: gauge(
                "kafka_consumer_group_lag_total",
                "The sum of kafka_consumer_group_lag over the partitions of the topic",
                &PAIR,
            )?,
            end: gauge(
                "kafka_partition_end_offset",
                "The offset that the next record will get (high watermark)",
                &["topic", "partition"],
            )?,
            committed: gauge(
                "kafka_partition_committed_offset",
                "The offset of the record that the group reads next; absent where it has committed none",
                &PARTITION,
            )?,
            status: gauge(
                "kafka_lag_status",
                "0 ok, 1 warning, 2 critical; absent where that is not known",
                &PAIR,
            )?,
            rate: gauge(
                "kafka_lag_rate_of_change",
                "Records a second by which the lag grows; negative while it shrinks",
                &PAIR,
            )?,
            oldest: gauge(
                "kafka_consumer_group_oldest_unread_seconds",
                "Age of the oldest record that the group has not read, by the record's own timestamp; 0 if nothing waits",
                &PAIR,
            )?,
            drain: gauge(
                "kafka_consumer_group_time_to_drain_seconds",
                "When nothing waits any more if it goes on like this; absent while the lag does not shrink",
                &PAIR,
            )?,
            left_out: gauge(
                "lag_monitor_left_out",
                "Series that are not shown because there would be too many",
                &[],
            )?,
        })
    }

    fn all(&self) -> [&GaugeVec; 9] {
        let Self {
            lag,
            total,
            end,
            committed,
            status,
            rate,
            oldest,
            drain,
            left_out,
        } = self;
        [
            lag, total, end, committed, status, rate, oldest, drain, left_out,
        ]
    }

    fn descriptions(&self) -> Vec<Desc> {
        let all = self.all().into_iter();
        all.flat_map(Collector::desc).cloned().collect()
    }

    fn families(&self) -> Vec<MetricFamily> {
        self.all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }

    fn tell(&self, view: View<'_>) {
        let mut left_out = 0;
        for (pair, judgement) in view.judged {
            self.pair(view, pair, judgement);
        }
        let judged: BTreeSet<&Pair> = view.judged.keys().collect();
        let mut series = 0;
        for (name, group) in &view.snapshot.groups {
            let label = shown(name);
            for (at, found) in &group.partitions {
                series += 1;
                if series > MOST_SERIES {
                    left_out += 1;
                    continue;
                }
                let labels = [at.topic.as_str(), &label, &at.partition.to_string()];
                set(
                    &self.lag,
                    &labels,
                    found.lag.ok().map(|lag| lag.readable as f64),
                );
                set(
                    &self.committed,
                    &labels,
                    found.committed.map(|offset| offset as f64),
                );
            }
            let topics: BTreeSet<&String> = group.partitions.keys().map(|at| &at.topic).collect();
            let pairs = topics.into_iter().map(|topic| Pair {
                group: name.clone(),
                topic: topic.clone(),
            });
            left_out += pairs.filter(|pair| !judged.contains(pair)).count();
        }
        let ends = view.snapshot.topics.iter();
        let ends = ends
            .flat_map(|(topic, all)| all.iter().map(move |(number, ends)| (topic, number, ends)));
        for (n, (topic, number, ends)) in ends.enumerate() {
            match n < MOST_SERIES {
                true => set(
                    &self.end,
                    &[topic, &number.to_string()],
                    Some(ends.high as f64),
                ),
                false => left_out += 1,
            }
        }
        set(&self.left_out, &[], Some(left_out as f64));
    }

    fn pair(&self, view: View<'_>, pair: &Pair, judgement: &Judgement) {
        let labels = [pair.topic.as_str(), &shown(&pair.group)];
        let status = match judgement.status() {
            Status::Ok => Some(0.0),
            Status::Warning => Some(1.0),
            Status::Critical => Some(2.0),
            Status::Unknown => None,
        };
        let oldest = judgement
            .oldest_unread
            .map(|oldest| (view.snapshot.taken_at - oldest).as_seconds_f64().max(0.0));
        let at_rest = judgement.total_lag.filter(|total| *total == 0).map(|_| 0.0);
        set(
            &self.total,
            &labels,
            judgement.total_lag.map(|total| total as f64),
        );
        set(&self.status, &labels, status);
        set(&self.rate, &labels, judgement.rates.map(|rates| rates.lag));
        set(&self.oldest, &labels, oldest.or(at_rest));
        set(
            &self.drain,
            &labels,
            judgement.time_to_drain.map(|time| time.as_secs_f64()),
        );
    }
}

fn set(gauge: &GaugeVec, labels: &[&str], value: Option<f64>) {
    if let (Some(value), Ok(one)) = (value, gauge.get_metric_with_label_values(labels)) {
        one.set(value);
    }
}

/// What is counted since the start, and when the cluster was last read.
struct Counted {
    polls: IntCounterVec,
    errors: IntCounterVec,
    success: GaugeVec,
}

impl Counted {
    fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
            polls: counter(
                "lag_monitor_polls_total",
                "Readings of the cluster, whether they succeeded or not",
                &[],
            )?,
            errors: counter(
                "lag_monitor_errors_total",
                "Readings of the cluster that failed, by what went wrong",
                &["error_type"],
            )?,
            success: GaugeVec::new(
                Opts::new(
                    "lag_monitor_last_success_timestamp_seconds",
                    "When the cluster was last read; absent if it never was",
                ),
                &[],
            )?,
        })
    }

    fn tell(&self, watch: &Watch) {
        let counts = watch.counts();
        count(&self.polls, &[], counts.polls);
        for kind in ReadError::KINDS {
            count(
                &self.errors,
                &[kind],
                counts.errors.get(kind).copied().unwrap_or(0),
            );
        }
        let last = watch.last_success();
        set(
            &self.success,
            &[],
            last.map(|at| at.timestamp_millis() as f64 / 1000.0),
        );
    }

    fn descriptions(&self) -> Vec<Desc> {
        let counters = [&self.polls, &self.errors]
            .into_iter()
            .flat_map(Collector::desc);
        counters.chain(self.success.desc()).cloned().collect()
    }

    fn families(&self) -> Vec<MetricFamily> {
        let counters = [&self.polls, &self.errors]
            .into_iter()
            .flat_map(Collector::collect);
        counters.chain(self.success.collect()).collect()
    }
}

fn count(counter: &IntCounterVec, labels: &[&str], value: u64) {
    if let Ok(one) = counter.get_metric_with_label_values(labels) {
        one.inc_by(value);
    }
}
