//! What a request reads.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cluster_reader::Snapshot;
use cluster_reader::group_health::{GroupHealth, History, Thresholds, assess};

use super::GroupTopic;
use super::group_instances::GroupInstances;
use super::open_transactions::OFFSETS_TOPIC;
use crate::instances::InstanceReport;

/// The error of a request for current data when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleData {
    /// When the last successful poll was taken.
    pub last_success: Option<DateTime<Utc>>,
}

/// Current data, borrowed while the state is locked for reading.
#[derive(Debug, Clone, Copy)]
pub struct CurrentState<'a> {
    /// The last snapshot.
    pub snapshot: &'a Snapshot,
    /// The health of each pair that is evaluated at every poll.
    pub health: &'a BTreeMap<GroupTopic, GroupHealth>,
    pub(super) instances: &'a GroupInstances,
    pub(super) snapshots: &'a History,
    pub(super) thresholds: Thresholds,
}

impl<'a> CurrentState<'a> {
    /// The health of a group on one topic, or on all its topics if `topic` is `None`. `None` if the
    /// last snapshot does not have the group.
    pub fn group_health(&self, group: &str, topic: Option<&str>) -> Option<GroupHealth> {
        let members = self.instances.members(group);
        assess(self.snapshots, group, topic, self.thresholds, members)
    }

    /// The instances of a group, answered or not. Empty for a group of another system.
    pub fn instances(&self, group: &str) -> &'a [InstanceReport] {
        self.instances.reports(group)
    }

    /// Whether a transaction hangs in `__consumer_offsets`.
    pub fn offsets_hang(&self) -> bool {
        let mut hanging = self.snapshots.hanging_transactions().iter();
        hanging.any(|one| one.partition.topic == OFFSETS_TOPIC)
    }

    /// The reason for the status of a group, with the instances that do not answer.
    pub fn evidence(&self, group: &str, health: &GroupHealth) -> String {
        self.instances.evidence(group, health)
    }
}
