//! One alert for each change of state. A poll that finds the same state raises none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cluster_reader::TopicPartition;
use cluster_reader::group_health::{Absence, GroupHealth, History, Rule, Status};
use serde::Serialize;

use super::open_transactions::HangingAlert;
use super::{GroupTopic, MAX_GROUP_TOPICS};
use crate::format::{display_name, time};
use crate::lag_fields::TotalLagFields;

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
    /// When the state ended: a later alert says what followed. `None` while it lasts. An alert with
    /// the level `ok` only reports an end.
    #[serde(serialize_with = "crate::format::serialize_optional_rfc3339")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Null if the lag is unknown, or the alert is not about lag.
    #[serde(flatten)]
    pub lag: TotalLagFields,
    /// `None` if the alert is about the cluster.
    pub group_id: Option<String>,
    /// `None` if the alert is about the cluster.
    pub topic: Option<String>,
    #[serde(skip)]
    subject: Subject,
}

/// A later alert about the same subject ends an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Pair(GroupTopic),
    /// Whether the cluster can be read.
    Cluster,
    /// The hanging transaction of the producer with this id.
    Transaction(i64),
}

/// An alert is raised when this value changes. The rules from `HotPartition` on compare numbers, and
/// replace one another while a lag grows and shrinks; for them the status alone counts, and the rule
/// is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AlertState {
    status: Status,
    rule: Option<Rule>,
}

#[derive(Debug, Default)]
pub(super) struct AlertLog {
    alerts: VecDeque<Arc<Alert>>,
    states: BTreeMap<GroupTopic, AlertState>,
    /// Partitions and name of each producer whose transaction hangs; without partitions if that is
    /// not known at the moment.
    hanging: BTreeMap<i64, (BTreeSet<TopicPartition>, String)>,
}

impl AlertLog {
    /// Raises an alert for each pair whose state has changed. A new pair raises an alert only for a
    /// warning or worse, and a pair that is gone only if it had one: the alert says why it ended. A
    /// pair is also gone if others have taken its place among those that are evaluated at each poll.
    pub(super) fn record_changes(
        &mut self,
        now: DateTime<Utc>,
        snapshots: &History,
        health: &BTreeMap<GroupTopic, GroupHealth>,
        evidence: impl Fn(&str, &GroupHealth) -> String,
    ) -> Vec<Arc<Alert>> {
        let gone = self
            .states
            .extract_if(.., |pair, _| !health.contains_key(pair));
        let gone: Vec<(GroupTopic, AlertState)> = gone.collect();
        let gone = gone.into_iter().filter(|(_, state)| state.is_bad());
        let mut raised: Vec<Alert> = gone
            .map(|(pair, _)| {
                end_alert(
                    now,
                    &pair,
                    snapshots.absence(&pair.group, Some(&pair.topic)),
                )
            })
            .collect();
        for (pair, health) in health {
            let state = AlertState::of(health);
            let before = self.states.insert(pair.clone(), state);
            if state.is_alert_after(before) {
                let reason = evidence(&pair.group, health);
                raised.push(Alert {
                    lag: health.total_lag.into(),
                    ..pair_alert(now, health.status(), pair, &reason)
                });
            }
        }
        raised.into_iter().map(|alert| self.push(alert)).collect()
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
        self.push(cluster_alert(
            now,
            level,
            Subject::Cluster,
            message.to_owned(),
        ))
    }

    /// Raises an alert for each producer whose transaction hangs in other partitions than before,
    /// and one for each whose transaction hangs no more.
    pub(super) fn record_transactions(
        &mut self,
        now: DateTime<Utc>,
        hanging: BTreeMap<i64, HangingAlert>,
    ) -> Vec<Arc<Alert>> {
        let ended = self
            .hanging
            .extract_if(.., |producer_id, _| !hanging.contains_key(producer_id));
        let ended = ended.map(|(producer_id, (_, producer))| {
            let message =
                format!("hanging_transaction: the transaction of {producer} hangs no more");
            cluster_alert(now, Status::Ok, Subject::Transaction(producer_id), message)
        });
        let mut raised: Vec<Alert> = ended.collect();
        for (producer_id, alert) in hanging {
            let state = (alert.partitions, alert.producer);
            let before = self.hanging.insert(producer_id, state.clone());
            if before.as_ref() != Some(&state) {
                let subject = Subject::Transaction(producer_id);
                raised.push(cluster_alert(now, Status::Critical, subject, alert.message));
            }
        }
        raised.into_iter().map(|alert| self.push(alert)).collect()
    }

    /// Raises an alert for each producer whose transaction hung at the last search, of `searched_at`,
    /// because it is not known any more whether it does. The next search decides.
    pub(super) fn transactions_unknown(
        &mut self,
        now: DateTime<Utc>,
        searched_at: DateTime<Utc>,
    ) -> Vec<Arc<Alert>> {
        let known = self.hanging.iter_mut();
        let known = known.filter(|(_, (partitions, _))| !partitions.is_empty());
        let raised = known.map(|(producer_id, (partitions, producer))| {
            partitions.clear();
            let since = time(searched_at);
            let message = format!(
                "hanging_transaction: whether the transaction of {producer} still hangs is not known: open transactions cannot be listed since {since}"
            );
            let subject = Subject::Transaction(*producer_id);
            cluster_alert(now, Status::Unknown, subject, message)
        });
        let raised: Vec<Alert> = raised.collect();
        raised.into_iter().map(|alert| self.push(alert)).collect()
    }

    pub(super) fn last(&self, pair: Option<&GroupTopic>, limit: usize) -> Vec<Arc<Alert>> {
        let newest_first = self.alerts.iter().rev();
        let is_wanted = |subject: &Subject| match (pair, subject) {
            (None, _) => true,
            (Some(wanted), Subject::Pair(pair)) => wanted == pair,
            (Some(_), Subject::Cluster | Subject::Transaction(_)) => false,
        };
        let matching = newest_first.filter(|one| is_wanted(&one.subject));
        matching.take(limit).cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.alerts.clear();
    }

    /// Adds the alert. It ends the one about the same subject that lasted until now.
    fn push(&mut self, alert: Alert) -> Arc<Alert> {
        let mut newest_first = self.alerts.iter_mut().rev();
        let before = newest_first.find(|one| one.subject == alert.subject);
        if let Some(before) = before.filter(|one| one.ended_at.is_none()) {
            Arc::make_mut(before).ended_at = Some(alert.timestamp);
        }
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
            rule: (rule < Rule::HotPartition).then_some(rule),
        }
    }

    fn is_bad(self) -> bool {
        self.status >= Status::Warning
    }

    fn is_alert_after(self, before: Option<Self>) -> bool {
        let both_ok = |before: Self| before.status == Status::Ok && self.status == Status::Ok;
        before.map_or(self.is_bad(), |before| before != self && !both_ok(before))
    }
}

/// Without an absence the pair is beyond the limit of pairs.
fn end_alert(now: DateTime<Utc>, pair: &GroupTopic, absence: Option<Absence>) -> Alert {
    let reason = absence.map_or_else(
        || format!("not evaluated any more: only {MAX_GROUP_TOPICS} pairs of group and topic are"),
        |absence| absence.to_string(),
    );
    pair_alert(now, Status::Ok, pair, &format!("ended: {reason}"))
}

fn pair_alert(now: DateTime<Utc>, level: Status, pair: &GroupTopic, reason: &str) -> Alert {
    let (group, topic) = (display_name(&pair.group), display_name(&pair.topic));
    Alert {
        level: level.name(),
        message: format!("{group} on {topic}: {reason}"),
        timestamp: now,
        ended_at: (level == Status::Ok).then_some(now),
        lag: None.into(),
        group_id: Some(group),
        topic: Some(topic),
        subject: Subject::Pair(pair.clone()),
    }
}

fn cluster_alert(now: DateTime<Utc>, level: Status, subject: Subject, message: String) -> Alert {
    Alert {
        level: level.name(),
        message,
        timestamp: now,
        ended_at: (level == Status::Ok).then_some(now),
        lag: None.into(),
        group_id: None,
        topic: None,
        subject,
    }
}
