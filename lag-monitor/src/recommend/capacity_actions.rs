//! Actions for a group that works, and reads fewer records than come in.

use super::group_actions::{GroupActions, new};
use super::{Priority, Recommendation};

/// Most instances of a service, in both modes.
const MAX_INSTANCES: usize = 9;

/// The recommended batch size, in records.
const BATCH_MAX: u32 = 500;

impl GroupActions<'_> {
    /// Up to one consumer for each partition: more would be idle.
    pub(super) fn add_consumers(&self) -> Option<Recommendation> {
        let members = self.group.members.len();
        let wanted = self.partitions.min(MAX_INSTANCES);
        if self.has_hot_partition || members >= wanted {
            return None;
        }
        let consume = match members {
            1 => "1 member consumes".to_owned(),
            _ => format!("{members} members consume"),
        };
        let reason = format!(
            "{consume} {} partitions: one consumer for each partition can work at the same time",
            self.partitions
        );
        let command = self.scale(wanted);
        (command.is_some() || self.service.is_none())
            .then(|| new(Priority::High, "add consumers", reason, command))
    }

    pub(super) fn remove_idle_consumers(&self) -> Option<Recommendation> {
        let members = self.group.members.iter();
        let busy = members
            .filter(|member| !member.assignment.is_empty())
            .count();
        let reason = "a consumer that owns no partition is idle: it only replaces one that fails";
        let command = self.scale(busy.max(1));
        Some(new(
            Priority::Low,
            "run as many consumers as there are partitions",
            reason,
            command,
        ))
    }

    /// Only if a member has a smaller limit, as far as members have answered.
    pub(super) fn process_in_batches(&self) -> Option<Recommendation> {
        let mut answers = self.answers().peekable();
        let is_limited = answers.peek().is_none()
            || answers.any(|(_, stats)| stats.config.batch_max < BATCH_MAX);
        if !is_limited {
            return None;
        }
        let reason = "a batch pays the fixed cost of a call once for many records";
        let command = self
            .service
            .map(|service| format!("./sandbox consumer set {service} --batch-max {BATCH_MAX}"));
        Some(new(
            Priority::Medium,
            "process records in batches",
            reason,
            command,
        ))
    }

    pub(super) fn add_partitions(&self) -> Option<Recommendation> {
        let members = self.group.members.len();
        let wanted = MAX_INSTANCES
            .min(self.partitions * 2)
            .max(members.min(MAX_INSTANCES));
        if members < self.partitions || wanted <= self.partitions || self.has_hot_partition {
            return None;
        }
        let reason = "every partition has a consumer already, so more consumers need more partitions. Partitions cannot be removed again, and keys move to other partitions";
        let command = self
            .topic
            .map(|topic| format!("./sandbox topics grow {topic} --partitions {wanted}"));
        Some(new(
            Priority::Low,
            "add partitions to the topic",
            reason,
            command,
        ))
    }
}

pub(super) fn spread_keys() -> Recommendation {
    let reason = "a partition has one owner, so neither more consumers nor more partitions help while a few keys have most of the records";
    new(
        Priority::High,
        "use keys that have many values",
        reason,
        None,
    )
}
