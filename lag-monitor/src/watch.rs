//! What is known of the cluster, and until when it counts.
//!
//! Everything that is told (answers, events, series) comes from here; nobody who asks makes the cluster be asked. Figures count as
//! long as the last poll succeeded and is not older than three intervals. Otherwise there are none: old ones would look like new.

mod alerts;
mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cluster_reader::Snapshot;
use cluster_reader::judge::{History, Judgement, Thresholds, judge};
use tokio::sync::broadcast;

pub use alerts::Alert;
use alerts::Alerts;
use past::Past;
pub use past::{Moment, partitions};

/// Pairs of group and topic that are judged at every poll, have a history and alerts. What a call asks for is judged in any case.
const MOST_PAIRS: usize = 2_000;

/// After how many intervals without a poll the last one no longer counts.
const INTERVALS: i32 = 3;

/// News that a slow listener may be behind; then it misses the oldest.
const NEWS: usize = 64;

/// A group and a topic that it reads, by their names on the broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
}

/// What has just happened.
#[derive(Debug, Clone)]
pub enum News {
    /// The cluster was read.
    Read,
    /// It could not be read.
    Failed,
    /// Something is to be told.
    Alert(Arc<Alert>),
}

/// There are no figures that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// When the cluster was last read.
    pub last_success: Option<DateTime<Utc>>,
}

/// How the cluster is watched.
#[derive(Debug, Clone)]
pub struct Rules {
    /// From when on a group is in trouble.
    pub thresholds: Thresholds,
    /// How often the cluster is read.
    pub every: Duration,
    /// What is judged first, should there be too much.
    pub first: Pair,
}

/// What is known. Clones share it.
#[derive(Debug, Clone)]
pub struct Watch {
    rules: Arc<Rules>,
    state: Arc<RwLock<State>>,
    news: broadcast::Sender<News>,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    judged: BTreeMap<Pair, Judgement>,
    past: Past,
    alerts: Alerts,
    counts: Counts,
    failing: bool,
}

/// What is counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Polls, whether they succeeded or not.
    pub polls: u64,
    /// Polls that failed, by the kind of error.
    pub errors: BTreeMap<&'static str, u64>,
}

/// Figures that count, while somebody looks at them.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What was read last.
    pub snapshot: &'a Snapshot,
    /// Each pair of group and topic as it is judged.
    pub judged: &'a BTreeMap<Pair, Judgement>,
    history: &'a History,
    thresholds: Thresholds,
}

impl Watch {
    /// Nothing is known yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules: Arc::new(rules),
            state: Arc::default(),
            news: broadcast::Sender::new(NEWS),
        }
    }

    /// How the cluster is watched.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The cluster was read.
    pub fn read(&self, snapshot: Snapshot) {
        let now = snapshot.taken_at;
        let mut news = Vec::new();
        self.change(|state| {
            let pairs = self.pairs(&snapshot);
            state.counts.polls += 1;
            state.history.add(snapshot);
            let thresholds = self.rules.thresholds;
            let judged = pairs.into_iter().filter_map(|pair| {
                let verdict = judge(&state.history, &pair.group, Some(&pair.topic), thresholds)?;
                Some((pair, verdict))
            });
            state.judged = judged.collect();
            if let Some(snapshot) = state.history.latest() {
                state.past.add(snapshot, &state.judged);
            }
            if std::mem::take(&mut state.failing) {
                news.push(state.alerts.cluster(now, true));
            }
            news.extend(state.alerts.see(now, &state.judged));
        });
        self.tell(News::Read, news);
    }

    /// The cluster could not be read, for a reason of this kind.
    pub fn failed(&self, kind: &'static str) {
        let mut news = Vec::new();
        self.change(|state| {
            state.counts.polls += 1;
            *state.counts.errors.entry(kind).or_default() += 1;
            if !std::mem::replace(&mut state.failing, true) {
                news.push(state.alerts.cluster(Utc::now(), false));
            }
        });
        self.tell(News::Failed, news);
    }

    /// Looks at the figures, if there are any that count at this moment.
    pub fn look<T>(
        &self,
        now: DateTime<Utc>,
        look: impl FnOnce(View<'_>) -> T,
    ) -> Result<T, Stale> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let snapshot = state.history.latest();
        let stale = Stale {
            last_success: snapshot.map(|snapshot| snapshot.taken_at),
        };
        let fresh = |at: DateTime<Utc>| now - at <= self.counts_for();
        let current = snapshot.filter(|one| !state.failing && fresh(one.taken_at));
        let snapshot = current.ok_or(stale)?;
        Ok(look(View {
            snapshot,
            judged: &state.judged,
            history: &state.history,
            thresholds: self.rules.thresholds,
        }))
    }

    /// When the cluster was last read, whether or not that still counts.
    pub fn last_success(&self) -> Option<DateTime<Utc>> {
        self.ask(|state| state.history.latest().map(|latest| latest.taken_at))
    }

    /// What is counted since the start.
    pub fn counts(&self) -> Counts {
        self.ask(|state| state.counts.clone())
    }

    /// The last `limit` moments of a pair, oldest first.
    pub fn past(&self, pair: &Pair, limit: usize) -> Vec<Moment> {
        self.ask(|state| state.past.last(pair, limit))
    }

    /// The last `limit` alerts, of this pair if one is named, newest first.
    pub fn alerts(&self, pair: Option<&Pair>, limit: usize) -> Vec<Arc<Alert>> {
        self.ask(|state| state.alerts.last(pair, limit))
    }

    /// Forgets all alerts. What is in trouble stays known as such, and is not told again.
    pub fn clear_alerts(&self) {
        self.change(|state| state.alerts.clear());
    }

    /// What happens from now on.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    fn pairs(&self, snapshot: &Snapshot) -> BTreeSet<Pair> {
        let first = &self.rules.first;
        let groups = snapshot.groups.iter();
        let all = groups.flat_map(|(name, group)| {
            let topics: BTreeSet<&String> = group.partitions.keys().map(|at| &at.topic).collect();
            topics.into_iter().map(|topic| Pair {
                group: name.clone(),
                topic: topic.clone(),
            })
        });
        std::iter::once(first.clone())
            .chain(all)
            .take(MOST_PAIRS)
            .collect()
    }

    fn counts_for(&self) -> TimeDelta {
        TimeDelta::from_std(self.rules.every).unwrap_or(TimeDelta::MAX) * INTERVALS
    }

    fn tell(&self, news: News, alerts: Vec<Arc<Alert>>) {
        // Nobody may be listening.
        for one in alerts.into_iter().map(News::Alert).chain([news]) {
            let _ = self.news.send(one);
        }
    }

    fn ask<T>(&self, ask: impl FnOnce(&State) -> T) -> T {
        ask(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl View<'_> {
    /// A group as a whole, or on a topic; `None` if the last reading does not have it.
    pub fn judge(&self, group: &str, topic: Option<&str>) -> Option<Judgement> {
        judge(self.history, group, topic, self.thresholds)
    }
}

#[cfg(test)]
mod tests;
