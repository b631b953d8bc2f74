//! Actions for the causes that members name: the member that is meant is in the command.

use std::collections::BTreeSet;

use cluster_reader::group_health::{Finding, Status};
use shared_events::member_api::{ConditionKind, MemberCondition, MemberStats, Source};
use shared_events::{NamePrefix, Service, Topic};

use super::group_actions::{GroupActions, new};
use super::{Priority, Recommendation};
use crate::format::one_line;

/// Most instances, or records, that are named in commands of their own.
const MAX_NAMED: usize = 3;

impl GroupActions<'_> {
    /// The instances that have answered.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&str, &MemberStats)> {
        let reports = self.context.instances.iter();
        reports.filter_map(|one| Some((one.instance.as_str(), one.stats.as_ref().ok()?)))
    }

    /// Whether an instance does not answer.
    pub(super) fn has_silent_instance(&self) -> bool {
        self.context.instances.iter().any(|one| one.stats.is_err())
    }

    fn conditions(&self, kind: ConditionKind) -> impl Iterator<Item = (&str, &MemberCondition)> {
        self.answers().flat_map(move |(instance, stats)| {
            let conditions = stats.conditions.iter();
            conditions
                .filter(move |one| one.kind == kind)
                .map(move |one| (instance, one))
        })
    }

    /// A pause by the group's record ends for the group, any other one for its instance.
    pub(super) fn resume_paused(&self, finding: &Finding) -> Vec<Recommendation> {
        let paused = self.answers().filter(|(_, stats)| stats.config.paused);
        let by_group = |stats: &MemberStats| stats.config.sources.paused == Source::Group;
        let targets = self.targets(paused.map(|(name, stats)| (name, by_group(stats))));
        // Without records that wait, the pause does no harm yet.
        let priority = match finding.status {
            Status::Ok => Priority::Low,
            _ => Priority::High,
        };
        let resume = targets.into_iter().map(|target| {
            let command = format!("./sandbox consumer resume {target}");
            let action = format!("resume {target}");
            new(priority, &action, finding.evidence.clone(), Some(command))
        });
        resume.collect()
    }

    /// Ends a simulated processing time where it was set. Without answers of the members it is only
    /// supposed that there is one.
    pub(super) fn process_faster(&self) -> Vec<Recommendation> {
        let Some(service) = self.service else {
            return Vec::new();
        };
        if self.answers().next().is_none() {
            let reason =
                "this removes a processing time, if one was set to simulate slow consumers";
            return vec![faster(&service.to_string(), reason)];
        }
        let slow = || {
            let answers = self.answers();
            answers.filter(|(_, stats)| stats.config.processing_time_ms > 0)
        };
        let source = |stats: &MemberStats| stats.config.sources.processing_time_ms;
        let by_environment =
            |stats: &MemberStats| matches!(source(stats), Source::Environment | Source::Default);
        let set = slow().filter(|(_, stats)| !by_environment(stats));
        let set = set.map(|(name, stats)| (name, source(stats) == Source::Group));
        let reason = "a processing time was set to simulate slow consumers";
        let targets = self.targets(set);
        let mut all: Vec<_> = targets
            .iter()
            .map(|target| faster(target, reason))
            .collect();
        if slow().any(|(_, stats)| by_environment(stats)) {
            all.push(new(
                Priority::High,
                "remove the processing time from the environment",
                "PROCESSING_TIME_MS was set to simulate slow consumers",
                Some(format!(
                    "./sandbox restart {service} --unset PROCESSING_TIME_MS"
                )),
            ));
        }
        all
    }

    /// The record that a member halted at, the dead letters before it, and the log.
    pub(super) fn look_at_halt(&self) -> Vec<Recommendation> {
        let mut all = Vec::new();
        for (instance, halt) in self.conditions(ConditionKind::Halted).take(MAX_NAMED) {
            let reason = format!(
                "{instance}: {}. When the cause is mended, ./sandbox consumer resume {instance} lets it go on",
                one_line(&halt.cause)
            );
            all.extend(self.service.map(|service| {
                let topic = service.dead_letter_topic();
                let action = format!("look at the dead letters of {topic}");
                let command = format!("./sandbox dlq list {topic} --waiting");
                new(Priority::High, &action, reason.clone(), Some(command))
            }));
            all.extend(self.inspect_records(halt, &reason));
        }
        // Without a halt, a consumer loop has ended.
        let priority = match all.is_empty() {
            true => Priority::High,
            false => Priority::Medium,
        };
        all.extend(self.read_log(priority));
        all
    }

    /// The records that members are blocked at, and the policy that blocks.
    pub(super) fn look_at_block(&self) -> Vec<Recommendation> {
        let blocked = self.conditions(ConditionKind::Blocked).take(MAX_NAMED);
        let mut all: Vec<Recommendation> = blocked
            .flat_map(|(instance, block)| {
                let reason = format!("{instance}: {}", one_line(&block.cause));
                self.inspect_records(block, &reason)
            })
            .collect();
        all.extend(self.use_dead_letter_topic());
        all.extend(self.read_log(Priority::Medium));
        all
    }

    fn inspect_records(&self, condition: &MemberCondition, reason: &str) -> Vec<Recommendation> {
        let records = condition.partitions.iter().take(MAX_NAMED);
        let inspect = records.filter_map(|at| {
            let offset = at.first?;
            self.inspect_record(&at.topic, at.partition, offset, reason.to_owned())
        });
        inspect.collect()
    }

    /// The session that holds a lock, if the cause names one; else the log.
    pub(super) fn look_at_failing_batch(&self) -> Vec<Recommendation> {
        let failing = self.conditions(ConditionKind::BatchFailing);
        let holders = failing.filter_map(|(_, failure)| {
            let holder = lock_holder(&failure.cause)?;
            Some((holder, one_line(&failure.cause)))
        });
        let mut seen = BTreeSet::new();
        let holders = holders.filter(|(holder, _)| seen.insert(*holder));
        let mut all: Vec<Recommendation> = holders
            .take(MAX_NAMED)
            .flat_map(|(holder, cause)| self.look_at_session(holder, &cause))
            .collect();
        let priority = match all.is_empty() {
            true => Priority::High,
            false => Priority::Medium,
        };
        all.extend(self.read_log(priority));
        all
    }

    fn look_at_session(&self, holder: u32, cause: &str) -> Vec<Recommendation> {
        let Some(database) = self.service.and_then(database) else {
            return Vec::new();
        };
        let look = format!(
            "./sandbox psql {database} -c \"SELECT pid, application_name, state, xact_start, query FROM pg_stat_activity WHERE pid = {holder}\""
        );
        let end = format!("./sandbox psql {database} -c \"SELECT pg_terminate_backend({holder})\"");
        vec![
            new(
                Priority::High,
                &format!("look at the database session {holder}, which holds the lock"),
                cause.to_owned(),
                Some(look),
            ),
            new(
                Priority::Medium,
                &format!("end the database session {holder}, if nobody needs it"),
                "its transaction is rolled back, and the batch is applied at the next retry",
                Some(end),
            ),
        ]
    }

    pub(super) fn create_topic(&self) -> Vec<Recommendation> {
        let is_ours = self.topic.is_some();
        let command = is_ours.then(|| "./sandbox topics create --lenient".to_owned());
        let reason = "the group reads a topic that does not exist. Creating the topic brings back none of its records";
        vec![new(Priority::High, "create the topic", reason, command)]
    }

    /// The group instead of instances, if the group's record is the source for one of them.
    fn targets<'n>(&self, of: impl Iterator<Item = (&'n str, bool)>) -> Vec<String> {
        let (mut names, mut by_group) = (Vec::new(), false);
        for (name, is_by_group) in of {
            by_group |= is_by_group;
            if !is_by_group {
                names.push(name.to_owned());
            }
        }
        match self.service {
            // A record of the group also replaces the settings of single instances.
            Some(service) if by_group || names.len() > MAX_NAMED => vec![service.to_string()],
            _ => names,
        }
    }
}

fn faster(target: &str, reason: &str) -> Recommendation {
    new(
        Priority::High,
        &format!("shorten the processing time of {target}"),
        reason,
        Some(format!("./sandbox consumer fast {target} --time-ms 0")),
    )
}

const fn database(service: Service) -> Option<&'static str> {
    match service {
        Service::Order => Some("orders_db"),
        Service::Payment => None,
        Service::Inventory => Some("inventory_db"),
    }
}

/// The process id of the database session in a cause like `lock timeout on products: held by backend
/// 22693 (psql) for 9 s`.
fn lock_holder(cause: &str) -> Option<u32> {
    let (_, rest) = cause.split_once("held by backend ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The dead-letter topic whose replay commits with this group; `None` for any other group.
pub(super) fn replayed_topic(group: &str, prefix: &NamePrefix) -> Option<Topic> {
    let mut topics = Topic::ALL.into_iter();
    topics.find(|topic| prefix.replay_group(*topic) == group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_that_holds_a_lock_is_found_in_the_cause() {
        let cause = "batch failing at payments/1 offsets 3 to 9: lock timeout on products: held by backend 22693 (psql) for 9 s";
        assert_eq!(lock_holder(cause), Some(22_693));
        for other in [
            "",
            "held by backend",
            "held by backend x",
            "held by backend 99999999999",
        ] {
            assert_eq!(lock_holder(other), None, "{other}");
        }
    }
}
