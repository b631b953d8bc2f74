//! What to do about what the rules found. Each command works as it stands, in a shell at the root of the repository, on both ways of
//! running; for groups that are not the shop's there are only words, and Kafka's own tool. `recommend/commands.txt` lists every form
//! that a command can have.

mod advice;

use cluster_reader::Snapshot;
use cluster_reader::judge::Judgement;
use serde::Serialize;
use shared_events::NamePrefix;

use crate::settings::Way;
use advice::Advisor;

/// How soon something should be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Now: nothing gets better by itself.
    High,
    /// It helps.
    Medium,
    /// To see more, or for later.
    Low,
}

/// Something that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    /// How soon.
    pub priority: Priority,
    /// What, in a few words.
    pub action: String,
    /// Why it would help.
    pub reason: String,
    /// What to type; none if it takes thought.
    pub command: Option<String>,
}

/// What the recommendations depend on, besides the judgement.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// How the system runs.
    pub way: Way,
    /// What the names of this stack begin with.
    pub prefix: &'a NamePrefix,
    /// What was read last.
    pub snapshot: &'a Snapshot,
    /// The group's name on the broker.
    pub group: &'a str,
    /// The topic's name on the broker.
    pub topic: &'a str,
}

/// What can be done about each finding; the most urgent first, nothing twice.
pub fn recommend(place: Place<'_>, judgement: &Judgement) -> Vec<Recommendation> {
    let Some(advisor) = Advisor::of(place, judgement) else {
        return Vec::new();
    };
    let mut all: Vec<Recommendation> = Vec::new();
    for finding in judgement.findings() {
        for one in advisor.about(finding) {
            if !all.iter().any(|other| other.action == one.action) {
                all.push(one);
            }
        }
    }
    all.sort_by_key(|one| one.priority);
    all
}

#[cfg(test)]
mod tests;
