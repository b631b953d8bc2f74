//! What autoscalers have reported last, one for each service.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use shared_events::Service;
use shared_events::autoscaler_api::AutoscalerReport;

use super::{Inner, LagState};

/// The last report of each service, and when it came.
#[derive(Debug, Default)]
pub(super) struct Autoscalers(BTreeMap<Service, (DateTime<Utc>, AutoscalerReport)>);

impl Autoscalers {
    /// The reports that are current at this time.
    pub(super) fn current(
        &self,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (Service, &AutoscalerReport)> {
        let all = self.0.iter();
        all.filter_map(move |(service, (at, report))| {
            let valid = TimeDelta::seconds(report.valid_seconds.into());
            (now - *at <= valid).then_some((*service, report))
        })
    }
}

impl LagState {
    /// A group whose autoscaler has scaled it to 0 has no members on purpose. What each autoscaler has decided is a part of the
    /// evidence.
    pub(super) fn apply_autoscalers(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let prefix = &self.settings.name_prefix;
        let mut at_zero = BTreeSet::new();
        for (service, report) in inner.autoscalers.current(now) {
            let group = prefix.group(service);
            inner.instances.add_autoscaler(&group, &report.explanation);
            if report.actual == 0 || report.desired == 0 {
                at_zero.insert(group);
            }
        }
        inner.snapshots.set_scaled_to_zero(at_zero);
    }

    /// Replaces the report about a service. The next snapshot is assessed with it.
    pub fn record_autoscaler(
        &self,
        service: Service,
        report: AutoscalerReport,
        now: DateTime<Utc>,
    ) {
        self.write(|inner| {
            inner.autoscalers.0.insert(service, (now, report));
        });
    }

    /// The current report about a service.
    pub fn autoscaler(&self, service: Service, now: DateTime<Utc>) -> Option<AutoscalerReport> {
        let current = self.autoscalers(now).into_iter();
        let mut of_service = current.filter(|(one, _)| *one == service);
        of_service.next().map(|(_, report)| report)
    }

    /// All current reports.
    pub fn autoscalers(&self, now: DateTime<Utc>) -> Vec<(Service, AutoscalerReport)> {
        self.read(|inner| {
            let current = inner.autoscalers.current(now);
            current
                .map(|(service, report)| (service, report.clone()))
                .collect()
        })
    }
}
