//! Open and hanging transactions. The gauges are present while the last search is current.

use std::collections::BTreeSet;

use chrono::Utc;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts};

use super::{increase, set};
use crate::lag_state::LagState;

pub(super) struct TransactionCollector {
    state: LagState,
    descriptions: Vec<Desc>,
}

impl TransactionCollector {
    pub(super) fn new(state: LagState) -> Result<Self, prometheus::Error> {
        let gauges = TransactionGauges::new()?;
        let all = gauges.all().into_iter();
        Ok(Self {
            state,
            descriptions: all.flat_map(Collector::desc).cloned().collect(),
        })
    }
}

impl Collector for TransactionCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(gauges) = TransactionGauges::new() else {
            return Vec::new();
        };
        gauges.fill(&self.state);
        let all = gauges.all().into_iter();
        all.flat_map(Collector::collect).collect()
    }
}

/// The metrics of one scrape.
struct TransactionGauges {
    open: GaugeVec,
    hanging: GaugeVec,
    failed: IntCounterVec,
}

impl TransactionGauges {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &[]);
        Ok(Self {
            open: gauge(
                "kafka_transactions_open",
                "Open transactions of the cluster, hanging or not; absent if unknown",
            )?,
            hanging: gauge(
                "kafka_transactions_hanging",
                "Partitions with a hanging transaction: no marker will end it, or its time-out has passed; absent if unknown",
            )?,
            failed: IntCounterVec::new(
                Opts::new(
                    "lag_monitor_transaction_errors_total",
                    "Failed searches for open transactions",
                ),
                &[],
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.open, &self.hanging, &self.failed]
    }

    fn fill(&self, state: &LagState) {
        increase(&self.failed, &[], state.failed_transaction_searches());
        let Ok(search) = state.transactions(Utc::now()) else {
            return;
        };
        let partitions: BTreeSet<_> = search.hanging.iter().map(|one| &one.partition).collect();
        set(&self.open, &[], Some(search.open as f64));
        set(&self.hanging, &[], Some(partitions.len() as f64));
    }
}
