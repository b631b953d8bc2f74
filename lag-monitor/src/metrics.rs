//! What Prometheus is told: the figures of the last poll, as long as they count.
//!
//! A scrape reads what is known here and asks no broker. Names in labels are bounded ([`shown`](crate::text::shown)), and so is their number; a member's
//! id is in none.

mod figures;

use chrono::Utc;
use cluster_reader::error::ReadError;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use crate::watch::Watch;
use figures::Figures;

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

fn set(gauge: &GaugeVec, labels: &[&str], value: Option<f64>) {
    // A series that is only asked for is there from then on, at 0.
    let Some(value) = value else {
        return;
    };
    if let Ok(one) = gauge.get_metric_with_label_values(labels) {
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
