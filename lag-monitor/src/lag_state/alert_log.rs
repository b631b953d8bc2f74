//! One alert for each change of state. A poll that finds the same state raises none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cluster_reader::group_health::{GroupHealth, Rule, Status};
use serde::Serialize;

use super::GroupTopic;
use crate::format::display_name;

/// Most alerts in the log: as many as one request can ask for.
const MAX_ALERTS: usize = 1_000;

/// The state of a group on a topic, or of the cluster, has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The new status.
    pub level: &'static str,
    /// Group, topic and evidence, as a sentence.
    pub message: String,
    /// When the poll was taken that found the change.
    #[serde(serialize_with = "crate::format::serialize_rfc3339")]
    pub timestamp: DateTime<Utc>,
    /// In records; `None` if unknown or if the alert is about the cluster.
    pub total_lag: Option<i64>,
    /// `None` if the alert is about the cluster.
    pub group_id: Option<String>,
    /// `None` if the alert is about the cluster.
    pub topic: Option<String>,
    #[serde(skip)]
    pair: Option<GroupTopic>,
}

/// An alert is raised when this value changes. The rules that compare numbers replace one another
/// while a lag grows and shrinks; for them the status alone counts, and the rule is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AlertState {
    status: Status,
    rule: Option<Rule>,
}

#[derive(Debug, Default)]
pub(super) struct AlertLog {
    alerts: VecDeque<Arc<Alert>>,
    states: BTreeMap<GroupTopic, AlertState>,
}

impl AlertLog {
    /// Raises an alert for each pair whose state has changed. A new pair raises an alert only for a
    /// warning or worse.
    pub(super) fn record_changes(
        &mut self,
        now: DateTime<Utc>,
        health: &BTreeMap<GroupTopic, GroupHealth>,
    ) -> Vec<Arc<Alert>> {
        let mut raised = Vec::new();
        self.states.retain(|pair, _| health.contains_key(pair));
        for (pair, health) in health {
            let state = AlertState::of(health);
            let is_alert = match self.states.insert(pair.clone(), state) {
                Some(before) => before != state,
                None => state.status >= Status::Warning,
            };
            if is_alert {
                raised.push(self.push(group_alert(now, pair, health)));
            }
        }
        raised
    }

    /// Raises the alert for the start (`false`) or the end (`true`) of an outage.
    pub(super) fn cluster_readable(&mut self, now: DateTime<Utc>, is_readable: bool) -> Arc<Alert> {
        let (level, message) = match is_readable {
            true => (Status::Ok, "the cluster can be read again"),
            false => (
                Status::Critical,
                "the cluster cannot be read: there is no lag data until it can be read again",
            ),
        };
        self.push(Alert {
            level: level.name(),
            message: message.to_owned(),
            timestamp: now,
            total_lag: None,
            group_id: None,
            topic: None,
            pair: None,
        })
    }

    pub(super) fn last(&self, pair: Option<&GroupTopic>, limit: usize) -> Vec<Arc<Alert>> {
        let newest_first = self.alerts.iter().rev();
        let matching = newest_first.filter(|one| pair.is_none() || one.pair.as_ref() == pair);
        matching.take(limit).cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.alerts.clear();
    }

    fn push(&mut self, alert: Alert) -> Arc<Alert> {
        let alert = Arc::new(alert);
        self.alerts.push_back(Arc::clone(&alert));
        let excess = self.alerts.len().saturating_sub(MAX_ALERTS);
        self.alerts.drain(..excess);
        alert
    }
}

impl AlertState {
    fn of(health: &GroupHealth) -> Self {
        let rule = health.rule();
        Self {
            status: health.status(),
            rule: (rule < Rule::FallingBehind).then_some(rule),
        }
    }
}

fn group_alert(now: DateTime<Utc>, pair: &GroupTopic, health: &GroupHealth) -> Alert {
    let (group, topic) = (display_name(&pair.group), display_name(&pair.topic));
    Alert {
        level: health.status().name(),
        message: format!("{group} on {topic}: {}", health.evidence()),
        timestamp: now,
        total_lag: health.total_lag,
        group_id: Some(group),
        topic: Some(topic),
        pair: Some(pair.clone()),
    }
}
