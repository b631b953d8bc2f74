//! Lag, offsets, status and rates of groups, topics and partitions. These series are present while
//! the last poll is current.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{GroupHealth, Rates, Status};
use cluster_reader::{LagCount, TopicPartition};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::set;
use crate::format::display_name;
use crate::lag_state::{CurrentState, GroupTopic, LagState};

/// Most series of one metric. Series beyond the limit, in the order of groups, topics and
/// partitions, are left out and counted in `lag_monitor_left_out`.
const MAX_SERIES: usize = 10_000;

const PARTITION_LABELS: [&str; 3] = ["topic", "group_id", "partition"];
const GROUP_TOPIC_LABELS: [&str; 2] = ["topic", "group_id"];

pub(super) struct LagCollector {
    state: LagState,
    descriptions: Vec<Desc>,
}

impl LagCollector {
    pub(super) fn new(state: LagState) -> Result<Self, prometheus::Error> {
        Ok(Self {
            state,
            descriptions: LagGauges::new()?.descriptions(),
        })
    }
}

impl Collector for LagCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(gauges) = LagGauges::new() else {
            return Vec::new();
        };
        let filled = self
            .state
            .read_current(Utc::now(), |current| gauges.fill(current));
        filled.map_or_else(|_| Vec::new(), |()| gauges.families())
    }
}

/// The metrics of one scrape.
struct LagGauges {
    lag: GaugeVec,
    total: GaugeVec,
    end: GaugeVec,
    under_replicated: GaugeVec,
    committed: GaugeVec,
    stalled: GaugeVec,
    status: GaugeVec,
    rate: GaugeVec,
    produced: GaugeVec,
    consumed: GaugeVec,
    oldest: GaugeVec,
    drain: GaugeVec,
    left_out: GaugeVec,
    /// All of them.
    all: Vec<GaugeVec>,
}

impl LagGauges {
    fn new() -> Result<Self, prometheus::Error> {
        let mut all = Vec::new();
        let mut gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            all.push(gauge.clone());
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = Self {
            lag: gauge(
                "kafka_consumer_group_lag",
                "Records that a read_committed consumer of the group has not consumed yet; the upper bound while the log is not scanned completely; absent if unknown",
                &PARTITION_LABELS,
            )?,
            total: gauge(
                "kafka_consumer_group_lag_total",
                "Sum of kafka_consumer_group_lag over the partitions of the topic; absent if unknown",
                &GROUP_TOPIC_LABELS,
            )?,
            end: gauge(
                "kafka_partition_end_offset",
                "Offset of the next record to be appended (high watermark)",
                &["topic", "partition"],
            )?,
            under_replicated: gauge(
                "kafka_topic_partition_under_replicated_partition",
                "1 if fewer replicas of the partition are in sync than it has, else 0",
                &["topic", "partition"],
            )?,
            committed: gauge(
                "kafka_partition_committed_offset",
                "Offset of the next record that the group consumes; absent if the group has committed none",
                &PARTITION_LABELS,
            )?,
            stalled: gauge(
                "kafka_consumer_group_partition_stalled",
                "1 if the committed offset is stuck while records wait and the group makes progress elsewhere, else 0",
                &PARTITION_LABELS,
            )?,
            status: gauge(
                "kafka_lag_status",
                "0 ok, 1 warning, 2 critical; absent if unknown",
                &GROUP_TOPIC_LABELS,
            )?,
            rate: gauge(
                "kafka_lag_rate_of_change",
                "Growth of the lag in records per second; negative while the lag shrinks",
                &GROUP_TOPIC_LABELS,
            )?,
            produced: gauge(
                "kafka_consumer_group_produced_per_second",
                "Records per second that the group could newly read, over 15 seconds; absent unless all were counted",
                &GROUP_TOPIC_LABELS,
            )?,
            consumed: gauge(
                "kafka_consumer_group_consumed_per_second",
                "Records per second that the group has read and committed, over 15 seconds; absent unless all were counted",
                &GROUP_TOPIC_LABELS,
            )?,
            oldest: gauge(
                "kafka_consumer_group_oldest_unread_seconds",
                "Age of the oldest record that the group has not consumed, by the timestamp of the record; 0 if the lag is 0",
                &GROUP_TOPIC_LABELS,
            )?,
            drain: gauge(
                "kafka_consumer_group_time_to_drain_seconds",
                "Time until the lag is 0 at the current rate; absent while the lag does not shrink",
                &GROUP_TOPIC_LABELS,
            )?,
            left_out: gauge(
                "lag_monitor_left_out",
                "Series that are left out because there would be too many",
                &[],
            )?,
            all: Vec::new(),
        };
        Ok(Self { all, ..gauges })
    }

    fn descriptions(&self) -> Vec<Desc> {
        let all = self.all.iter();
        all.flat_map(Collector::desc).cloned().collect()
    }

    fn families(&self) -> Vec<MetricFamily> {
        self.all.iter().flat_map(Collector::collect).collect()
    }

    fn fill(&self, current: CurrentState<'_>) {
        for (pair, health) in current.health {
            self.set_group_topic(current, pair, health);
        }
        let left_out = self.set_partitions(current)
            + self.set_end_offsets(current)
            + group_topics_left_out(current);
        set(&self.left_out, &[], Some(left_out as f64));
    }

    /// Returns how many series are left out.
    fn set_partitions(&self, current: CurrentState<'_>) -> usize {
        let mut series = 0_usize;
        for (name, group) in &current.snapshot.groups {
            let group_id = display_name(name);
            for (at, partition) in &group.partitions {
                series += 1;
                if series > MAX_SERIES {
                    continue;
                }
                let labels = [at.topic.as_str(), &group_id, &at.partition.to_string()];
                let lag = partition.lag.ok().map(|lag| lag.readable.upper() as f64);
                set(&self.lag, &labels, lag);
                let committed = partition.committed.map(|offset| offset as f64);
                set(&self.committed, &labels, committed);
                let pair = GroupTopic {
                    group: name.clone(),
                    topic: at.topic.clone(),
                };
                let health = current.health.get(&pair);
                let stalled = health.map(|health| health.stalled_partitions.contains(at));
                set(&self.stalled, &labels, stalled.map(f64::from));
            }
        }
        series.saturating_sub(MAX_SERIES)
    }

    /// Returns how many series are left out.
    fn set_end_offsets(&self, current: CurrentState<'_>) -> usize {
        let mut series = 0_usize;
        for (topic, partitions) in &current.snapshot.topics {
            for (number, ends) in partitions {
                series += 1;
                if series <= MAX_SERIES {
                    let labels = [topic.as_str(), &number.to_string()];
                    set(&self.end, &labels, Some(ends.high_watermark as f64));
                    let at = TopicPartition {
                        topic: topic.clone(),
                        partition: *number,
                    };
                    let replicas = current.snapshot.replicas.get(&at);
                    let under_replicated = replicas.map(|one| one.is_under_replicated());
                    set(
                        &self.under_replicated,
                        &labels,
                        under_replicated.map(f64::from),
                    );
                }
            }
        }
        series.saturating_sub(MAX_SERIES)
    }

    fn set_group_topic(&self, current: CurrentState<'_>, pair: &GroupTopic, health: &GroupHealth) {
        let labels = [pair.topic.as_str(), &display_name(&pair.group)];
        let status = match health.status() {
            Status::Ok => Some(0.0),
            Status::Warning => Some(1.0),
            Status::Critical => Some(2.0),
            Status::Unknown => None,
        };
        let age = |oldest: DateTime<Utc>| {
            (current.snapshot.taken_at - oldest)
                .as_seconds_f64()
                .max(0.0)
        };
        let oldest = health.oldest_unread.map(age);
        let zero_if_caught_up = health
            .total_lag
            .filter(|total| *total == LagCount::ZERO)
            .map(|_| 0.0);
        let total = health.total_lag.map(|total| total.upper() as f64);
        let drain = health.time_to_drain.map(|time| time.as_secs_f64());
        set(&self.total, &labels, total);
        set(&self.status, &labels, status);
        let rate = |of: fn(&Rates) -> f64| health.rates.as_ref().map(of);
        set(&self.rate, &labels, rate(|rates| rates.lag));
        set(&self.produced, &labels, rate(|rates| rates.produced));
        set(&self.consumed, &labels, rate(|rates| rates.consumed));
        set(&self.oldest, &labels, oldest.or(zero_if_caught_up));
        set(&self.drain, &labels, drain);
    }
}

/// Pairs of group and topic beyond the limit of [`LagState`].
fn group_topics_left_out(current: CurrentState<'_>) -> usize {
    let groups = current.snapshot.groups.values();
    let topics = groups.map(|group| {
        let topics: BTreeSet<&String> = group.partitions.keys().map(|at| &at.topic).collect();
        topics.len()
    });
    topics.sum::<usize>().saturating_sub(current.health.len())
}
