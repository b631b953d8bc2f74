//! One alert for each change of state, and not one for each poll.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cluster_reader::judge::{Judgement, Rule, Status};
use serde::Serialize;

use super::Pair;
use crate::text::shown;

/// Alerts kept: as many as one call can ask for.
const MOST: usize = 1_000;

/// A group on a topic, or the cluster, is in another state than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// The new state.
    pub level: &'static str,
    /// Who, and on what evidence.
    pub message: String,
    /// When it was read.
    #[serde(serialize_with = "crate::text::serialize_time")]
    pub timestamp: DateTime<Utc>,
    /// Readable records, where that is known.
    pub total_lag: Option<i64>,
    /// The group; none if it is about the cluster.
    pub group_id: Option<String>,
    /// The topic; none if it is about the cluster.
    pub topic: Option<String>,
    #[serde(skip)]
    pair: Option<Pair>,
}

/// What counts as a state. The rules that go by numbers come and go with each other while a lag grows and shrinks: for them the
/// status is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing(Status, Option<Rule>);

#[derive(Debug, Default)]
pub(super) struct Alerts {
    kept: VecDeque<Arc<Alert>>,
    standing: BTreeMap<Pair, Standing>,
}

impl Alerts {
    /// What has changed. A pair seen for the first time is told only if it is in trouble.
    pub(super) fn see(
        &mut self,
        now: DateTime<Utc>,
        judged: &BTreeMap<Pair, Judgement>,
    ) -> Vec<Arc<Alert>> {
        let mut news = Vec::new();
        self.standing.retain(|pair, _| judged.contains_key(pair));
        for (pair, judgement) in judged {
            let standing = Standing::of(judgement);
            let before = self.standing.insert(pair.clone(), standing);
            let told = match before {
                Some(before) => before != standing,
                None => standing.0 >= Status::Warning,
            };
            if told {
                news.push(self.keep(of_pair(now, pair, judgement)));
            }
        }
        news
    }

    /// The cluster cannot be read any more, or can again.
    pub(super) fn cluster(&mut self, now: DateTime<Utc>, is_read: bool) -> Arc<Alert> {
        let (level, message) = match is_read {
            true => (Status::Ok, "the cluster is read again"),
            false => (
                Status::Critical,
                "the cluster cannot be read: there are no figures until it can",
            ),
        };
        self.keep(Alert {
            level: level.name(),
            message: message.to_owned(),
            timestamp: now,
            total_lag: None,
            group_id: None,
            topic: None,
            pair: None,
        })
    }

    pub(super) fn last(&self, pair: Option<&Pair>, limit: usize) -> Vec<Arc<Alert>> {
        let newest = self.kept.iter().rev();
        let wanted = newest.filter(|one| pair.is_none() || one.pair.as_ref() == pair);
        wanted.take(limit).cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    fn keep(&mut self, alert: Alert) -> Arc<Alert> {
        let alert = Arc::new(alert);
        self.kept.push_back(Arc::clone(&alert));
        self.kept.drain(..self.kept.len().saturating_sub(MOST));
        alert
    }
}

impl Standing {
    fn of(judgement: &Judgement) -> Self {
        let rule = judgement.rule();
        Self(
            judgement.status(),
            (rule < Rule::FallingBehind).then_some(rule),
        )
    }
}

fn of_pair(now: DateTime<Utc>, pair: &Pair, judgement: &Judgement) -> Alert {
    let (group, topic) = (shown(&pair.group), shown(&pair.topic));
    Alert {
        level: judgement.status().name(),
        message: format!("{group} on {topic}: {}", judgement.evidence()),
        timestamp: now,
        total_lag: judgement.total_lag,
        group_id: Some(group),
        topic: Some(topic),
        pair: Some(pair.clone()),
    }
}
