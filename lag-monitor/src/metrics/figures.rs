//! The series of groups, topics and partitions.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cluster_reader::judge::{Judgement, Status};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::set;
use crate::text::shown;
use crate::watch::{Pair, View};

/// Most series of one name. Beyond that the last ones, in the order of groups, topics and partitions, are left out, and counted.
const MOST_SERIES: usize = 10_000;

const PARTITION: [&str; 3] = ["topic", "group_id", "partition"];
const PAIR: [&str; 2] = ["topic", "group_id"];

/// One scrape's figures.
pub(super) struct Figures {
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
    pub(super) fn new() -> Result<Self, prometheus::Error> {
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

    pub(super) fn descriptions(&self) -> Vec<Desc> {
        let all = self.all().into_iter();
        all.flat_map(Collector::desc).cloned().collect()
    }

    pub(super) fn families(&self) -> Vec<MetricFamily> {
        self.all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }

    pub(super) fn tell(&self, view: View<'_>) {
        for (pair, judgement) in view.judged {
            self.pair(view, pair, judgement);
        }
        let left_out = self.partitions(view) + self.ends(view) + pairs_not_judged(view);
        set(&self.left_out, &[], Some(left_out as f64));
    }

    /// Returns how many are left out.
    fn partitions(&self, view: View<'_>) -> usize {
        let mut series = 0_usize;
        for (name, group) in &view.snapshot.groups {
            let group_id = shown(name);
            for (at, found) in &group.partitions {
                series += 1;
                if series > MOST_SERIES {
                    continue;
                }
                let labels = [at.topic.as_str(), &group_id, &at.partition.to_string()];
                let lag = found.lag.ok().map(|lag| lag.readable as f64);
                set(&self.lag, &labels, lag);
                let committed = found.committed.map(|offset| offset as f64);
                set(&self.committed, &labels, committed);
            }
        }
        series.saturating_sub(MOST_SERIES)
    }

    /// Returns how many are left out.
    fn ends(&self, view: View<'_>) -> usize {
        let mut series = 0_usize;
        for (topic, partitions) in &view.snapshot.topics {
            for (number, ends) in partitions {
                series += 1;
                if series <= MOST_SERIES {
                    let labels = [topic.as_str(), &number.to_string()];
                    set(&self.end, &labels, Some(ends.high as f64));
                }
            }
        }
        series.saturating_sub(MOST_SERIES)
    }

    fn pair(&self, view: View<'_>, pair: &Pair, judgement: &Judgement) {
        let labels = [pair.topic.as_str(), &shown(&pair.group)];
        let status = match judgement.status() {
            Status::Ok => Some(0.0),
            Status::Warning => Some(1.0),
            Status::Critical => Some(2.0),
            Status::Unknown => None,
        };
        let age =
            |oldest: DateTime<Utc>| (view.snapshot.taken_at - oldest).as_seconds_f64().max(0.0);
        let oldest = judgement.oldest_unread.map(age);
        let at_rest = judgement.total_lag.filter(|total| *total == 0).map(|_| 0.0);
        let total = judgement.total_lag.map(|total| total as f64);
        let drain = judgement.time_to_drain.map(|time| time.as_secs_f64());
        set(&self.total, &labels, total);
        set(&self.status, &labels, status);
        set(&self.rate, &labels, judgement.rates.map(|rates| rates.lag));
        set(&self.oldest, &labels, oldest.or(at_rest));
        set(&self.drain, &labels, drain);
    }
}

/// Beyond a bound, pairs of group and topic are not judged at every poll.
fn pairs_not_judged(view: View<'_>) -> usize {
    let groups = view.snapshot.groups.values();
    let topics = groups.map(|group| {
        let topics: BTreeSet<&String> = group.partitions.keys().map(|at| &at.topic).collect();
        topics.len()
    });
    topics.sum::<usize>().saturating_sub(view.judged.len())
}
