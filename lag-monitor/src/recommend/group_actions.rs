//! The actions that can be recommended for a group. Each function returns recommendations that help,
//! or none.

use cluster_reader::Group;
use cluster_reader::group_health::{Finding, GroupHealth, Rule};
use service_kit::Mode;
use shared_events::Service;

use super::capacity_actions::spread_keys;
use super::member_actions::replayed_topic;
use super::shell::shell_word;
use super::transaction_actions::resolve_transactions;
use super::{Priority, RecommendContext, Recommendation};
use crate::format::display_name;

pub(super) struct GroupActions<'a> {
    pub(super) context: RecommendContext<'a>,
    pub(super) group: &'a Group,
    /// The service whose group it is; `None` for a group of another system.
    pub(super) service: Option<Service>,
    /// The topic's name without the prefix; `None` for a topic of another system.
    pub(super) topic: Option<&'static str>,
    pub(super) partitions: usize,
    pub(super) has_hot_partition: bool,
    /// A cause is known, or the group is that of a replay, so more consumers or partitions would not
    /// help.
    pub(super) has_cause: bool,
    /// A member is slow by its settings.
    is_slow: bool,
}

impl<'a> GroupActions<'a> {
    /// `None` if the snapshot does not have the group.
    pub(super) fn of(context: RecommendContext<'a>, health: &GroupHealth) -> Option<Self> {
        let mut services = Service::ALL.into_iter();
        let snapshot = context.snapshot;
        let findings = health.findings();
        let answers = context.instances.iter();
        let mut answers = answers.filter_map(|one| one.stats.as_ref().ok());
        Some(Self {
            group: snapshot.groups.get(context.group)?,
            service: services.find(|service| context.prefix.group(*service) == context.group),
            topic: context
                .prefix
                .topic_of(context.topic)
                .map(|topic| topic.name()),
            partitions: snapshot
                .topics
                .get(context.topic)
                .map_or(0, |partitions| partitions.len()),
            has_hot_partition: findings.iter().any(|one| one.rule == Rule::HotPartition),
            has_cause: context.offsets_hang
                || findings.iter().any(|one| is_cause(one.rule))
                || replayed_topic(context.group, context.prefix).is_some(),
            is_slow: answers.any(|stats| stats.config.processing_time_ms > 0),
            context,
        })
    }

    pub(super) fn for_finding(&self, finding: &Finding) -> Vec<Recommendation> {
        match finding.rule {
            Rule::HangingTransaction => resolve_transactions(),
            Rule::Halted => self.look_at_halt(),
            Rule::Blocked => self.look_at_block(),
            Rule::TopicMissing => self.create_topic(),
            Rule::BatchFailing => self.look_at_failing_batch(),
            Rule::Paused => self.resume_paused(finding),
            Rule::Joining => all([self.read_log(Priority::High), self.describe_group()]),
            Rule::NoMembers => self.start_consumers(),
            Rule::Stopped => self.look_at_members(),
            Rule::Stalled => self.look_at_stall(finding),
            Rule::Rewound => all([Some(find_offset_reset()), self.describe_group()]),
            Rule::LostRecords => self.look_at_loss(),
            Rule::SlowMember => self.process_faster(),
            Rule::HotPartition if self.has_cause => Vec::new(),
            Rule::HotPartition => [vec![spread_keys()], self.process_faster()].concat(),
            Rule::FallingBehind | Rule::AboveCritical | Rule::AboveWarning => self.do_more_work(),
            Rule::MoreConsumersThanPartitions if self.has_cause || self.is_slow => {
                all([self.remove_idle_consumers()])
            }
            Rule::MoreConsumersThanPartitions => {
                all([self.remove_idle_consumers(), self.add_partitions()])
            }
            Rule::NotKnown => all([self.describe_group()]),
            Rule::KeepsUp => Vec::new(),
        }
    }

    /// A member that is slow by its settings is a cause, too, however many records wait for it.
    fn do_more_work(&self) -> Vec<Recommendation> {
        match (self.has_cause, self.is_slow) {
            (true, _) => Vec::new(),
            (false, true) => self.process_faster(),
            (false, false) => [
                all([self.add_consumers()]),
                self.process_faster(),
                all([self.process_in_batches(), self.add_partitions()]),
            ]
            .concat(),
        }
    }

    /// Only a service has consumers that a command starts. The groups of the sandbox's own tools
    /// have a member only while the tool runs.
    fn start_consumers(&self) -> Vec<Recommendation> {
        if let Some(service) = self.service {
            let reason = "the group has no members, so no records are consumed until a consumer joins the group";
            let command = Some(format!("./sandbox up {service}"));
            return vec![new(Priority::High, "start the consumers", reason, command)];
        }
        if let Some(topic) = replayed_topic(self.context.group, self.context.prefix) {
            let reason = "the group belongs to ./sandbox dlq replay, which runs when a person starts it: these dead letters wait for a decision";
            return vec![new(
                Priority::Low,
                "look at the dead letters that were not replayed",
                reason,
                Some(format!("./sandbox dlq list {topic} --waiting")),
            )];
        }
        let action = "find out whether the group is still used";
        let reason = "the group has no members and belongs to none of the services: its program has ended, or reads only from time to time";
        let describe = self.describe_group().and_then(|one| one.command);
        vec![new(Priority::Medium, action, reason, describe)]
    }

    /// The members have committed nothing, and none has said why.
    fn look_at_members(&self) -> Vec<Recommendation> {
        all([
            self.look_at_status(),
            self.read_log(Priority::High),
            self.describe_group(),
        ])
    }

    /// Only if an instance does not answer, or none was asked.
    fn look_at_status(&self) -> Option<Recommendation> {
        self.service?;
        let is_known = self.answers().next().is_some() && !self.has_silent_instance();
        (!is_known).then(|| {
            let reason = "an instance that does not answer is frozen, dead or unreachable; the others say why they are not ready";
            let command = Some("./sandbox status".to_owned());
            new(Priority::High, "look at the instances", reason, command)
        })
    }

    /// A member that answers would have said that it is blocked by a poison record.
    fn look_at_stall(&self, finding: &Finding) -> Vec<Recommendation> {
        let record = || {
            let (at, offset) = (finding.partition.as_ref()?, finding.offset?);
            let reason = format!(
                "{}[{}] is blocked at offset {offset}: the record at this offset may be poison",
                at.topic, at.partition
            );
            self.inspect_record(&at.topic, at.partition, offset, reason)
        };
        let has_answers = self.answers().next().is_some();
        let policy = (!has_answers).then(|| self.use_dead_letter_topic());
        all([record(), policy.flatten(), self.read_log(Priority::Medium)])
    }

    pub(super) fn read_log(&self, priority: Priority) -> Option<Recommendation> {
        let service = self.service?;
        let reason = "the log of the members says why they do not make progress";
        let command = format!("./sandbox logs --tail 20 {service}");
        Some(new(priority, "read the log", reason, Some(command)))
    }

    pub(super) fn inspect_record(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        reason: String,
    ) -> Option<Recommendation> {
        let command = format!(
            "./sandbox kafka console-consumer --topic {} --partition {partition} --offset {offset} --max-messages 1 --timeout-ms 60000",
            shell_word(topic)?
        );
        let action = format!(
            "look at the record {}/{partition}/{offset}",
            display_name(topic)
        );
        Some(new(Priority::High, &action, reason, Some(command)))
    }

    /// Without POISON_POLICY a service sends poison records to the dead-letter topic; with `block`
    /// it is blocked at the record.
    pub(super) fn use_dead_letter_topic(&self) -> Option<Recommendation> {
        let reason = "a poison record blocks every record after it in the partition; in the dead-letter topic it blocks none";
        let command = self
            .service
            .map(|service| format!("./sandbox restart {service} --unset POISON_POLICY"));
        Some(new(
            Priority::Medium,
            "send poison records to the dead-letter topic",
            reason,
            command,
        ))
    }

    fn describe_group(&self) -> Option<Recommendation> {
        let command = shell_word(self.context.group)
            .map(|group| format!("./sandbox kafka consumer-groups --describe --group {group}"));
        let reason = "Kafka's own tool shows the members and the committed offsets";
        Some(new(
            Priority::Low,
            "describe the group with Kafka's own tool",
            reason,
            command,
        ))
    }

    pub(super) fn scale(&self, instances: usize) -> Option<String> {
        let service = self.service?;
        let can_scale = self.context.mode == Mode::Local || service == Service::Inventory;
        can_scale.then(|| format!("./sandbox scale {service}={instances}"))
    }
}

/// Whether the rule names a cause for which neither more consumers nor more speed helps.
const fn is_cause(rule: Rule) -> bool {
    match rule {
        Rule::HangingTransaction
        | Rule::Halted
        | Rule::Blocked
        | Rule::TopicMissing
        | Rule::BatchFailing
        | Rule::Paused
        | Rule::Joining
        | Rule::NoMembers
        | Rule::Stopped
        | Rule::Stalled => true,
        Rule::Rewound
        | Rule::LostRecords
        | Rule::FallingBehind
        | Rule::HotPartition
        | Rule::SlowMember
        | Rule::AboveCritical
        | Rule::AboveWarning
        | Rule::MoreConsumersThanPartitions
        | Rule::NotKnown
        | Rule::KeepsUp => false,
    }
}

pub(super) fn all<const N: usize>(some: [Option<Recommendation>; N]) -> Vec<Recommendation> {
    some.into_iter().flatten().collect()
}

fn find_offset_reset() -> Recommendation {
    let reason = "the committed offsets were reset: the group consumes records again, or its offset is beyond the end of the log. Find out who reset them";
    new(
        Priority::High,
        "find out who reset the offsets",
        reason,
        None,
    )
}

pub(super) fn new(
    priority: Priority,
    action: &str,
    reason: impl Into<String>,
    command: Option<String>,
) -> Recommendation {
    Recommendation {
        priority,
        action: action.to_owned(),
        reason: reason.into(),
        command,
    }
}
