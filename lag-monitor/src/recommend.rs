//! What to do about the findings in a group's health.
//!
//! Each command works as printed, in a shell at the root of the repository, in both modes. For a
//! group of another system there are only actions without a command, and Kafka's own tool.
//! `recommend/commands.txt` lists every command that can be recommended.

mod capacity_actions;
mod group_actions;
mod loss_actions;
mod member_actions;
mod shell;
mod transaction_actions;

use cluster_reader::Snapshot;
use cluster_reader::group_health::{GroupHealth, Status};
use serde::Serialize;
use service_kit::Mode;
use shared_events::NamePrefix;

use crate::instances::InstanceReport;
use group_actions::GroupActions;
use transaction_actions::resolve_transactions;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The group does not recover without it.
    High,
    /// The group recovers sooner with it.
    Medium,
    /// Diagnosis, or an improvement that can wait.
    Low,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    pub priority: Priority,
    /// What to do, in a few words.
    pub action: String,
    /// Why it helps.
    pub reason: String,
    /// The command that does it; `None` if no single command does.
    pub command: Option<String>,
}

/// What the recommendations depend on, besides the group's health.
#[derive(Debug, Clone, Copy)]
pub struct RecommendContext<'a> {
    pub mode: Mode,
    pub prefix: &'a NamePrefix,
    /// The last snapshot.
    pub snapshot: &'a Snapshot,
    /// The instances whose members the group has, answered or not. Empty for a group of another
    /// system, and if no instances are known.
    pub instances: &'a [InstanceReport],
    /// The group's name on the broker.
    pub group: &'a str,
    /// The topic's name on the broker.
    pub topic: &'a str,
    /// A transaction hangs in `__consumer_offsets`, so one or more groups cannot read their
    /// committed offsets. Any group that is behind may be one of them.
    pub offsets_hang: bool,
}

/// The recommendations for every finding, sorted by priority; each action at most once. Empty if
/// the snapshot does not have the group.
pub fn recommend(context: RecommendContext<'_>, health: &GroupHealth) -> Vec<Recommendation> {
    let Some(actions) = GroupActions::of(context, health) else {
        return Vec::new();
    };
    let mut all = match context.offsets_hang && health.status() >= Status::Warning {
        true => resolve_transactions(),
        false => Vec::new(),
    };
    for finding in health.findings() {
        for one in actions.for_finding(finding) {
            if !all.iter().any(|other| other.action == one.action) {
                all.push(one);
            }
        }
    }
    all.sort_by_key(|one| one.priority);
    all
}

#[cfg(test)]
mod cause_tests;
#[cfg(test)]
mod command_list_tests;
#[cfg(test)]
mod test_group;
#[cfg(test)]
mod tests;
