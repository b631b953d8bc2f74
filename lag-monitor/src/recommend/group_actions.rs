//! The actions that can be recommended for a group. Each function returns one recommendation, or
//! `None` where the action would not help.

use cluster_reader::Group;
use cluster_reader::group_health::{Finding, GroupHealth, Rule};
use service_kit::Mode;
use shared_events::Service;

use super::{Priority, RecommendContext, Recommendation};
use crate::format::display_name;

/// Most instances of a service, in both modes.
const MAX_INSTANCES: usize = 9;

/// The recommended batch size, in records.
const BATCH_MAX: u32 = 500;

pub(super) struct GroupActions<'a> {
    context: RecommendContext<'a>,
    group: &'a Group,
    /// The service whose group it is; `None` for a group of another system.
    service: Option<Service>,
    /// The topic's name without the prefix; `None` for a topic of another system.
    topic: Option<&'static str>,
    partitions: usize,
    has_hot_partition: bool,
}

impl<'a> GroupActions<'a> {
    /// `None` if the snapshot does not have the group.
    pub(super) fn of(context: RecommendContext<'a>, health: &GroupHealth) -> Option<Self> {
        let mut services = Service::ALL.into_iter();
        let snapshot = context.snapshot;
        let findings = health.findings();
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
            context,
        })
    }

    pub(super) fn for_finding(&self, finding: &Finding) -> Vec<Recommendation> {
        let all = match finding.rule {
            Rule::NoMembers => vec![self.start_consumers()],
            Rule::Stopped => vec![self.resume_consumers(), self.read_log()],
            Rule::Stalled => vec![
                self.inspect_record(finding),
                self.use_dead_letter_topic(),
                self.read_log(),
            ],
            Rule::Rewound => vec![Some(find_offset_reset()), self.describe_group()],
            Rule::LostRecords => vec![self.extend_retention(), self.process_faster()],
            Rule::HotPartition => vec![Some(spread_keys()), self.process_faster()],
            Rule::FallingBehind | Rule::AboveCritical | Rule::AboveWarning => {
                vec![
                    self.add_consumers(),
                    self.process_faster(),
                    self.process_in_batches(),
                    self.add_partitions(),
                ]
            }
            Rule::MoreConsumersThanPartitions => {
                vec![self.remove_idle_consumers(), self.add_partitions()]
            }
            Rule::NotKnown => vec![self.describe_group()],
            Rule::KeepsUp => vec![],
        };
        all.into_iter().flatten().collect()
    }

    fn start_consumers(&self) -> Option<Recommendation> {
        let reason =
            "the group has no members, so no records are consumed until a consumer joins the group";
        let command = self
            .service
            .map(|service| format!("./sandbox up {service}"));
        Some(new(Priority::High, "start the consumers", reason, command))
    }

    fn resume_consumers(&self) -> Option<Recommendation> {
        let reason = "the group has members, but they consume no records: they may be paused, or stopped at the poison limit (their /health/ready says which)";
        let command = self
            .service
            .map(|service| format!("./sandbox consumer resume {service}"));
        Some(new(Priority::High, "resume the consumers", reason, command))
    }

    fn read_log(&self) -> Option<Recommendation> {
        let service = self.service?;
        let reason = "the log of the members says why they do not make progress";
        let command = format!("./sandbox logs --tail 20 {service}");
        Some(new(Priority::Medium, "read the log", reason, Some(command)))
    }

    fn inspect_record(&self, finding: &Finding) -> Option<Recommendation> {
        let at = finding.partition.as_ref()?;
        let offset = finding.offset?;
        let reason = format!(
            "{}[{}] is blocked at offset {offset}: the record at this offset may be poison",
            at.topic, at.partition
        );
        let command = format!(
            "./sandbox kafka console-consumer --topic {} --partition {} --offset {offset} --max-messages 1 --timeout-ms 60000",
            shell_word(&at.topic)?,
            at.partition
        );
        Some(new(
            Priority::High,
            "look at the record that blocks the partition",
            reason,
            Some(command),
        ))
    }

    /// Without POISON_POLICY a service sends poison records to the dead-letter topic; with `block`
    /// it is blocked at the record.
    fn use_dead_letter_topic(&self) -> Option<Recommendation> {
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

    fn extend_retention(&self) -> Option<Recommendation> {
        let reason = "records were deleted before the group consumed them: the retention must be longer than the group is ever behind";
        let command = shell_word(self.context.topic)
            .map(|topic| format!("./sandbox kafka configs --describe --all --entity-type topics --entity-name {topic}"));
        Some(new(
            Priority::High,
            "keep records longer (retention.ms, retention.bytes)",
            reason,
            command,
        ))
    }

    /// Up to one consumer for each partition: more would be idle.
    fn add_consumers(&self) -> Option<Recommendation> {
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

    fn remove_idle_consumers(&self) -> Option<Recommendation> {
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

    fn scale(&self, instances: usize) -> Option<String> {
        let service = self.service?;
        let can_scale = self.context.mode == Mode::Local || service == Service::Inventory;
        can_scale.then(|| format!("./sandbox scale {service}={instances}"))
    }

    fn process_faster(&self) -> Option<Recommendation> {
        let service = self.service?;
        let reason = "this removes a processing time that was set to simulate slow consumers";
        let command = format!("./sandbox consumer fast {service} --time-ms 0");
        Some(new(
            Priority::Medium,
            "shorten the processing time of each message",
            reason,
            Some(command),
        ))
    }

    fn process_in_batches(&self) -> Option<Recommendation> {
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

    fn add_partitions(&self) -> Option<Recommendation> {
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

fn find_offset_reset() -> Recommendation {
    let reason = "the committed offsets were reset: the group consumes records again, or its offset is beyond the end of the log. Find out who reset them";
    new(
        Priority::High,
        "find out who reset the offsets",
        reason,
        None,
    )
}

fn spread_keys() -> Recommendation {
    let reason = "a partition has one owner, so neither more consumers nor more partitions help while a few keys have most of the records";
    new(
        Priority::High,
        "use keys that have many values",
        reason,
        None,
    )
}

fn new(
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

/// The name, quoted so that a shell reads it as one word. `None` if the name is too long, or has
/// characters that are unsafe to paste.
pub(super) fn shell_word(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || display_name(name) != name {
        None
    } else if name.chars().all(is_plain) && !name.starts_with('-') {
        Some(name.to_owned())
    } else {
        Some(format!("'{}'", name.replace('\'', r"'\''")))
    }
}
