//! Polls, failed polls, the time of the last successful one, and how long each group committed
//! nothing. These series are always present.

use cluster_reader::ReadError;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, IntCounterVec, Opts};

use super::{increase, set};
use crate::format::display_name;
use crate::lag_state::LagState;

pub(super) struct PollCollector {
    state: LagState,
    descriptions: Vec<Desc>,
}

impl PollCollector {
    pub(super) fn new(state: LagState) -> Result<Self, prometheus::Error> {
        Ok(Self {
            state,
            descriptions: PollCounters::new()?.descriptions(),
        })
    }
}

/// Most groups with a series.
const MAX_GROUPS: usize = 10_000;

impl Collector for PollCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(counters) = PollCounters::new() else {
            return Vec::new();
        };
        counters.fill(&self.state);
        counters.families()
    }
}

/// The metrics of one scrape.
struct PollCounters {
    polls: IntCounterVec,
    errors: IntCounterVec,
    last_success: GaugeVec,
    without_commit: CounterVec,
}

impl PollCounters {
    fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
            polls: counter(
                "lag_monitor_polls_total",
                "Polls of the cluster, successful or failed",
                &[],
            )?,
            errors: counter(
                "lag_monitor_errors_total",
                "Failed polls of the cluster, by kind of error",
                &["error_type"],
            )?,
            last_success: GaugeVec::new(
                Opts::new(
                    "lag_monitor_last_success_timestamp_seconds",
                    "Time of the last successful poll of the cluster; absent before the first",
                ),
                &[],
            )?,
            without_commit: CounterVec::new(
                Opts::new(
                    "kafka_consumer_group_seconds_without_commit_total",
                    "Seconds between polls in which the group committed nothing while records waited for it; a shorter time is not counted",
                ),
                &["group_id"],
            )?,
        })
    }

    fn fill(&self, state: &LagState) {
        let counts = state.poll_counts();
        increase(&self.polls, &[], counts.polls);
        for kind in ReadError::KINDS {
            let errors = counts.errors.get(kind).copied().unwrap_or(0);
            increase(&self.errors, &[kind], errors);
        }
        let last = state.last_success();
        let seconds = last.map(|at| at.timestamp_millis() as f64 / 1000.0);
        set(&self.last_success, &[], seconds);
        for (group, time) in state.time_without_commit().into_iter().take(MAX_GROUPS) {
            let labels = [display_name(&group)];
            if let Ok(series) = self.without_commit.get_metric_with_label_values(&labels) {
                series.inc_by(time.as_secs_f64());
            }
        }
    }

    fn descriptions(&self) -> Vec<Desc> {
        let counters = [&self.polls, &self.errors]
            .into_iter()
            .flat_map(Collector::desc);
        let gauges = self.last_success.desc().into_iter();
        let all = counters.chain(gauges).chain(self.without_commit.desc());
        all.cloned().collect()
    }

    fn families(&self) -> Vec<MetricFamily> {
        let counters = [&self.polls, &self.errors]
            .into_iter()
            .flat_map(Collector::collect);
        let gauges = self.last_success.collect();
        counters
            .chain(gauges)
            .chain(self.without_commit.collect())
            .collect()
    }
}
