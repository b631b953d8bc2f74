//! What autoscalers report. The gauges of a service are present while its report is current.

use chrono::Utc;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::set;
use crate::lag_state::LagState;

pub(super) struct AutoscalerCollector {
    state: LagState,
    descriptions: Vec<Desc>,
}

impl AutoscalerCollector {
    pub(super) fn new(state: LagState) -> Result<Self, prometheus::Error> {
        let gauges = AutoscalerGauges::new()?;
        let all = gauges.all().into_iter();
        Ok(Self {
            state,
            descriptions: all.flat_map(Collector::desc).cloned().collect(),
        })
    }
}

impl Collector for AutoscalerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(gauges) = AutoscalerGauges::new() else {
            return Vec::new();
        };
        for (service, report) in self.state.autoscalers(Utc::now()) {
            let name = service.name();
            set(&gauges.desired, &[name], Some(report.desired.into()));
            set(&gauges.actual, &[name], Some(report.actual.into()));
            set(&gauges.reason, &[name, report.reason.name()], Some(1.0));
        }
        let all = gauges.all().into_iter();
        all.flat_map(Collector::collect).collect()
    }
}

/// The metrics of one scrape.
struct AutoscalerGauges {
    desired: GaugeVec,
    actual: GaugeVec,
    reason: GaugeVec,
}

impl AutoscalerGauges {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge =
            |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            desired: gauge(
                "autoscaler_desired_replicas",
                "Instances that the autoscaler scales to; absent without a running autoscaler",
                &["service"],
            )?,
            actual: gauge(
                "autoscaler_actual_replicas",
                "Instances at the last decision of the autoscaler; absent without a running autoscaler",
                &["service"],
            )?,
            reason: gauge(
                "autoscaler_reason",
                "1 for what decided the desired number: lag, partitions, max, min, cooldown, unknown, step or window",
                &["service", "reason"],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.desired, &self.actual, &self.reason]
    }
}
