//! The current state of every group, derived from the polls.
//!
//! Every answer, event and metric is read from here; no request causes a call to the cluster. Data
//! is current while the last poll succeeded and is at most three intervals old. Data that is not
//! current is never returned: a client could not tell it from current data.

mod acknowledge;
mod alert_log;
mod autoscalers;
mod commit_gaps;
mod current_state;
mod group_instances;
mod lag_history;
mod open_transactions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cluster_reader::Snapshot;
use cluster_reader::group_health::{GroupHealth, History, Thresholds, assess};
use shared_events::NamePrefix;
use tokio::sync::broadcast;

pub use acknowledge::Acknowledged;
pub use alert_log::Alert;
use alert_log::AlertLog;
use autoscalers::Autoscalers;
use commit_gaps::CommitGaps;
pub use current_state::{CurrentState, StaleData};
use group_instances::GroupInstances;
use lag_history::LagHistory;
pub use lag_history::{LagSample, partitions};
pub use open_transactions::{SEARCH_INTERVAL, TransactionSearch, readers};

use crate::instances::InstanceReport;

/// Most pairs of group and topic whose health is evaluated at every poll and which have a history
/// and alerts. The health of any other pair is evaluated when a request names it.
const MAX_GROUP_TOPICS: usize = 2_000;

/// The last poll is current for this many intervals.
const CURRENT_INTERVALS: i32 = 3;

/// Events that a slow subscriber may be behind before it misses the oldest.
const EVENT_CAPACITY: usize = 64;

/// A group and a topic that the group consumes, by their names on the broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupTopic {
    pub group: String,
    pub topic: String,
}

/// Sent to every subscriber.
#[derive(Debug, Clone)]
pub enum MonitorEvent {
    /// A poll has succeeded, or something was acknowledged.
    StateChanged,
    PollFailed,
    Alert(Arc<Alert>),
}

#[derive(Debug, Clone)]
pub struct StateSettings {
    pub thresholds: Thresholds,
    pub poll_interval: Duration,
    /// Always evaluated, even if there are more pairs than the limit.
    pub default_group_topic: GroupTopic,
    /// The prefix of the groups of the services.
    pub name_prefix: NamePrefix,
}

/// A handle to the shared state: clones share it.
#[derive(Debug, Clone)]
pub struct LagState {
    settings: Arc<StateSettings>,
    inner: Arc<RwLock<Inner>>,
    events: broadcast::Sender<MonitorEvent>,
}

#[derive(Debug, Default)]
struct Inner {
    snapshots: History,
    health: BTreeMap<GroupTopic, GroupHealth>,
    lag_history: LagHistory,
    commit_gaps: CommitGaps,
    alerts: AlertLog,
    /// The answers of all instances at their last poll.
    newest_reports: Vec<InstanceReport>,
    /// The answers that were evaluated with the last snapshot.
    instances: GroupInstances,
    autoscalers: Autoscalers,
    transactions: open_transactions::TransactionSearches,
    polls: PollCounts,
    last_poll_failed: bool,
}

/// Counts since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollCounts {
    /// All polls, successful or failed.
    pub polls: u64,
    /// Failed polls by [`ReadError::kind`](cluster_reader::ReadError::kind).
    pub errors: BTreeMap<&'static str, u64>,
}

impl LagState {
    /// A state before the first poll.
    pub fn new(settings: StateSettings) -> Self {
        Self {
            settings: Arc::new(settings),
            inner: Arc::default(),
            events: broadcast::Sender::new(EVENT_CAPACITY),
        }
    }

    pub fn settings(&self) -> &StateSettings {
        &self.settings
    }

    /// Records a successful poll: evaluates every pair, extends the histories, and publishes the
    /// alerts that follow.
    pub fn record_snapshot(&self, snapshot: Snapshot) {
        let now = snapshot.taken_at;
        let mut alerts = Vec::new();
        self.write(|inner| {
            inner.polls.polls += 1;
            inner.commit_gaps.add(inner.snapshots.latest(), &snapshot);
            inner.snapshots.add(snapshot);
            let reports = inner.newest_reports.iter();
            let fresh = reports.filter(|one| now - one.asked_at <= self.max_age());
            inner.instances = GroupInstances::of(fresh, &self.settings.name_prefix);
            self.apply_autoscalers(inner, now);
            inner.health = self.health_of_all(inner);
            if let Some(snapshot) = inner.snapshots.latest() {
                inner.lag_history.add(snapshot, &inner.health);
            }
            if std::mem::take(&mut inner.last_poll_failed) {
                alerts.push(inner.alerts.cluster_readable(now, true));
            }
            alerts.extend(inner.alert_changes(now));
        });
        self.publish(MonitorEvent::StateChanged, alerts);
    }

    /// Replaces the answers of the instances. They are evaluated with the next snapshot.
    pub fn record_reports(&self, mut reports: Vec<InstanceReport>) {
        self.write(|inner| {
            for report in &mut reports {
                let mut before = inner.newest_reports.iter();
                if let Some(before) = before.find(|one| one.instance == report.instance) {
                    report.continue_from(before);
                }
            }
            inner.newest_reports = reports;
        });
    }

    /// Records a failed poll; `kind` is the error's kind.
    pub fn record_failure(&self, kind: &'static str) {
        let mut alerts = Vec::new();
        self.write(|inner| {
            inner.polls.polls += 1;
            *inner.polls.errors.entry(kind).or_default() += 1;
            if !std::mem::replace(&mut inner.last_poll_failed, true) {
                alerts.push(inner.alerts.cluster_readable(Utc::now(), false));
            }
        });
        self.publish(MonitorEvent::PollFailed, alerts);
    }

    /// Calls `read` with the data that is current at `now`.
    ///
    /// # Errors
    /// If the last poll failed, is too old, or there was none.
    pub fn read_current<T>(
        &self,
        now: DateTime<Utc>,
        read: impl FnOnce(CurrentState<'_>) -> T,
    ) -> Result<T, StaleData> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = inner.snapshots.latest();
        let stale = StaleData {
            last_success: snapshot.map(|snapshot| snapshot.taken_at),
        };
        let is_fresh = |at: DateTime<Utc>| now - at <= self.max_age();
        let current = snapshot.filter(|one| !inner.last_poll_failed && is_fresh(one.taken_at));
        let snapshot = current.ok_or(stale)?;
        Ok(read(CurrentState {
            snapshot,
            health: &inner.health,
            instances: &inner.instances,
            snapshots: &inner.snapshots,
            thresholds: self.settings.thresholds,
        }))
    }

    /// When the last successful poll was taken, current or not.
    pub fn last_success(&self) -> Option<DateTime<Utc>> {
        self.read(|inner| inner.snapshots.latest().map(|latest| latest.taken_at))
    }

    pub fn poll_counts(&self) -> PollCounts {
        self.read(|inner| inner.polls.clone())
    }

    /// The last `limit` samples of a pair, oldest first.
    pub fn lag_history(&self, pair: &GroupTopic, limit: usize) -> Vec<LagSample> {
        self.read(|inner| inner.lag_history.last(pair, limit))
    }

    /// The last `limit` alerts, newest first; of one pair, or of all pairs and of the cluster if
    /// `pair` is `None`.
    pub fn alerts(&self, pair: Option<&GroupTopic>, limit: usize) -> Vec<Arc<Alert>> {
        self.read(|inner| inner.alerts.last(pair, limit))
    }

    /// Deletes all alerts. The states that they reported stay known, so the same state raises no
    /// second alert.
    pub fn clear_alerts(&self) {
        self.write(|inner| inner.alerts.clear());
    }

    /// How long each group committed nothing while records waited for it, since this process or the
    /// group exists. A time shorter than the poll interval may be missing.
    pub fn time_without_commit(&self) -> Vec<(String, Duration)> {
        self.read(|inner| {
            let all = inner.commit_gaps.all();
            all.map(|(group, gap)| (group.to_owned(), gap)).collect()
        })
    }

    /// Receives every event from this call on.
    pub fn subscribe(&self) -> broadcast::Receiver<MonitorEvent> {
        self.events.subscribe()
    }

    /// The health of every pair, and of groups without a partition whose members miss a topic.
    fn health_of_all(&self, inner: &Inner) -> BTreeMap<GroupTopic, GroupHealth> {
        let health_of = |group: &str, topic: Option<&str>| {
            let members = inner.instances.members(group);
            assess(
                &inner.snapshots,
                group,
                topic,
                self.settings.thresholds,
                members,
            )
        };
        let pairs = self.group_topics(&inner.snapshots).into_iter();
        let health = pairs.filter_map(|pair| {
            let health = health_of(&pair.group, Some(&pair.topic))?;
            Some((pair, health))
        });
        let mut health: BTreeMap<GroupTopic, GroupHealth> = health.collect();
        for pair in inner.instances.with_missing_topic() {
            if !health.keys().any(|known| known.group == pair.group) {
                health.extend(health_of(&pair.group, None).map(|found| (pair, found)));
            }
        }
        health
    }

    /// Every pair of the last snapshot, and every topic that was deleted under a group.
    fn group_topics(&self, snapshots: &History) -> BTreeSet<GroupTopic> {
        let groups = snapshots.latest().into_iter().flat_map(|last| &last.groups);
        let all = groups.flat_map(|(name, group)| {
            let topics: BTreeSet<&String> = group.partitions.keys().map(|at| &at.topic).collect();
            topics.into_iter().map(|topic| GroupTopic {
                group: name.clone(),
                topic: topic.clone(),
            })
        });
        let missing = snapshots.missing_topics().map(|(group, topic)| GroupTopic {
            group: group.to_owned(),
            topic: topic.to_owned(),
        });
        std::iter::once(self.settings.default_group_topic.clone())
            .chain(missing)
            .chain(all)
            .take(MAX_GROUP_TOPICS)
            .collect()
    }

    fn max_age(&self) -> TimeDelta {
        let interval = TimeDelta::from_std(self.settings.poll_interval);
        interval.unwrap_or(TimeDelta::MAX) * CURRENT_INTERVALS
    }

    /// Alerts go first, so that a subscriber has them before the state that raised them.
    fn publish(&self, event: MonitorEvent, alerts: Vec<Arc<Alert>>) {
        for event in alerts.into_iter().map(MonitorEvent::Alert).chain([event]) {
            // An error means that there is no subscriber.
            let _ = self.events.send(event);
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Inner) -> T) -> T {
        read(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, write: impl FnOnce(&mut Inner)) {
        write(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Inner {
    fn alert_changes(&mut self, now: DateTime<Utc>) -> Vec<Arc<Alert>> {
        let instances = &self.instances;
        let evidence = |group: &str, health: &GroupHealth| instances.evidence(group, health);
        self.alerts
            .record_changes(now, &self.snapshots, &self.health, evidence)
    }
}

#[cfg(test)]
mod ended_tests;
#[cfg(test)]
mod tests;
