//! The groups as lag-monitor reports them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cluster_reader::group_health::Rates;
use serde::Deserialize;

use super::GroupStatus;

/// The response to `GET /groups` of lag-monitor, as far as it is shown.
#[derive(Debug, Clone, Deserialize)]
pub struct MonitorReading {
    /// When lag-monitor read the cluster.
    pub timestamp: DateTime<Utc>,
    pub(crate) groups: Vec<MonitoredGroup>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MonitoredGroup {
    pub(crate) group_id: String,
    #[serde(flatten)]
    pub(crate) health: GroupStatus,
    pub(crate) partition_rates: BTreeMap<String, BTreeMap<i32, PartitionRates>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct PartitionRates {
    rate_of_change: f64,
    consumed_per_second: f64,
    produced_per_second: f64,
}

impl From<PartitionRates> for Rates {
    fn from(rates: PartitionRates) -> Self {
        Self {
            lag: rates.rate_of_change,
            consumed: rates.consumed_per_second,
            produced: rates.produced_per_second,
        }
    }
}
