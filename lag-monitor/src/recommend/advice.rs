//! One piece of advice each, or none where it would not help.

use cluster_reader::Group;
use cluster_reader::judge::{Finding, Judgement, Rule};
use shared_events::Service;

use super::{Place, Priority, Recommendation};
use crate::settings::Way;
use crate::text::shown;

/// Most instances of a service, whatever the way of running.
const MOST_INSTANCES: usize = 9;

/// How many records of a batch are worth a try.
const BATCH_MAX: u32 = 500;

/// Knows whose group it is, and what can be done with it.
pub(super) struct Advisor<'a> {
    place: Place<'a>,
    group: &'a Group,
    /// The service of the shop that the group is of.
    service: Option<Service>,
    /// The topic's name without prefix, if it is the shop's.
    topic: Option<&'static str>,
    partitions: usize,
    is_hot: bool,
}

impl<'a> Advisor<'a> {
    /// `None` if the last reading does not have the group.
    pub(super) fn of(place: Place<'a>, judgement: &Judgement) -> Option<Self> {
        let mut services = Service::ALL.into_iter();
        let findings = judgement.findings();
        Some(Self {
            group: place.snapshot.groups.get(place.group)?,
            service: services.find(|service| place.prefix.group(*service) == place.group),
            topic: place.prefix.topic_of(place.topic).map(|topic| topic.name()),
            partitions: place
                .snapshot
                .topics
                .get(place.topic)
                .map_or(0, |all| all.len()),
            is_hot: findings.iter().any(|one| one.rule == Rule::HotPartition),
            place,
        })
    }

    pub(super) fn about(&self, finding: &Finding) -> Vec<Recommendation> {
        let all = match finding.rule {
            Rule::NoMembers => vec![self.start()],
            Rule::Stopped => vec![self.resume(), self.logs()],
            Rule::Stalled => vec![self.record(finding), self.set_aside(), self.logs()],
            Rule::Rewound => vec![self.rewound(), self.describe()],
            Rule::LostRecords => vec![self.retention(), self.fast()],
            Rule::HotPartition => vec![Some(spread_keys()), self.fast()],
            Rule::FallingBehind | Rule::AboveCritical | Rule::AboveWarning => {
                vec![
                    self.more_members(),
                    self.fast(),
                    self.batches(),
                    self.grow(),
                ]
            }
            Rule::MoreConsumersThanPartitions => vec![self.fewer_members(), self.grow()],
            Rule::NotKnown => vec![self.describe()],
            Rule::KeepsUp => vec![],
        };
        all.into_iter().flatten().collect()
    }

    fn start(&self) -> Option<Recommendation> {
        let reason = "nobody is in the group, so nothing is read until somebody joins";
        let command = self
            .service
            .map(|service| format!("./sandbox up {service}"));
        Some(new(Priority::High, "start the consumers", reason, command))
    }

    fn resume(&self) -> Option<Recommendation> {
        let reason = "the members are there and take nothing: perhaps somebody paused them, or they stopped at the poison limit (their /health/ready says which)";
        let command = self
            .service
            .map(|service| format!("./sandbox consumer resume {service}"));
        Some(new(Priority::High, "resume the consumers", reason, command))
    }

    fn logs(&self) -> Option<Recommendation> {
        let service = self.service?;
        let reason = "what the members wait for is in their log";
        let command = format!("./sandbox logs --tail 20 {service}");
        Some(new(Priority::Medium, "read the log", reason, Some(command)))
    }

    fn record(&self, finding: &Finding) -> Option<Recommendation> {
        let at = finding.partition.as_ref()?;
        let offset = finding.offset?;
        let reason = format!(
            "{}[{}] stands before the record at offset {offset}: perhaps it cannot be taken",
            at.topic, at.partition
        );
        let command = format!(
            "./sandbox kafka console-consumer --topic {} --partition {} --offset {offset} --max-messages 1 --timeout-ms 60000",
            quoted(&at.topic)?,
            at.partition
        );
        Some(new(
            Priority::High,
            "look at the record that is not taken",
            reason,
            Some(command),
        ))
    }

    /// A member of the shop sets such records aside by itself, unless it was told to wait before them.
    fn set_aside(&self) -> Option<Recommendation> {
        let reason = "a record that cannot be taken holds up all behind it; as a dead letter it waits elsewhere";
        let command = self
            .service
            .map(|service| format!("./sandbox restart {service} --unset POISON_POLICY"));
        Some(new(
            Priority::Medium,
            "set records that cannot be taken aside as dead letters",
            reason,
            command,
        ))
    }

    fn rewound(&self) -> Option<Recommendation> {
        let reason = "the group reads again what it has read, or offsets that are not there: find out who set them";
        Some(new(
            Priority::High,
            "find out who reset the offsets",
            reason,
            None,
        ))
    }

    fn describe(&self) -> Option<Recommendation> {
        let command = quoted(self.place.group)
            .map(|group| format!("./sandbox kafka consumer-groups --describe --group {group}"));
        let reason = "Kafka's own tool shows members and committed offsets";
        Some(new(
            Priority::Low,
            "look at the group with Kafka's own tool",
            reason,
            command,
        ))
    }

    fn retention(&self) -> Option<Recommendation> {
        let reason = "records were deleted before they were read: keep them longer than the group is ever behind";
        let command = quoted(self.place.topic)
            .map(|topic| format!("./sandbox kafka configs --describe --all --entity-type topics --entity-name {topic}"));
        Some(new(
            Priority::High,
            "keep records longer (retention.ms, retention.bytes)",
            reason,
            command,
        ))
    }

    /// Only as far as it helps: a partition has one owner.
    fn more_members(&self) -> Option<Recommendation> {
        let members = self.group.members.len();
        let wanted = self.partitions.min(MOST_INSTANCES);
        if self.is_hot || members >= wanted {
            return None;
        }
        let who = match members {
            1 => "1 member reads".to_owned(),
            _ => format!("{members} members read"),
        };
        let reason = format!(
            "{who} {} partitions: as many as there are partitions can work at the same time",
            self.partitions
        );
        let command = self.scale(wanted);
        (command.is_some() || self.service.is_none())
            .then(|| new(Priority::High, "add consumers", reason, command))
    }

    fn fewer_members(&self) -> Option<Recommendation> {
        let busy = self
            .group
            .members
            .iter()
            .filter(|member| !member.owns.is_empty())
            .count();
        let reason = "those that own no partition do nothing but stand by";
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
        let can = self.place.way == Way::Local || service == Service::Inventory;
        can.then(|| format!("./sandbox scale {service}={instances}"))
    }

    fn fast(&self) -> Option<Recommendation> {
        let service = self.service?;
        let reason = "if the consumers were made slow on purpose, this ends it";
        let command = format!("./sandbox consumer fast {service} --time-ms 0");
        Some(new(
            Priority::Medium,
            "make each message's work shorter",
            reason,
            Some(command),
        ))
    }

    fn batches(&self) -> Option<Recommendation> {
        let reason = "the price of a call is paid once for many records";
        let command = self
            .service
            .map(|service| format!("./sandbox consumer set {service} --batch-max {BATCH_MAX}"));
        Some(new(
            Priority::Medium,
            "take records in batches",
            reason,
            command,
        ))
    }

    fn grow(&self) -> Option<Recommendation> {
        let members = self.group.members.len();
        let most = MOST_INSTANCES
            .min(self.partitions * 2)
            .max(members.min(MOST_INSTANCES));
        if members < self.partitions || most <= self.partitions || self.is_hot {
            return None;
        }
        let reason = "each consumer has a partition: more need more partitions. It cannot be taken back, and keys move to other partitions";
        let command = self
            .topic
            .map(|topic| format!("./sandbox topics grow {topic} --partitions {most}"));
        Some(new(
            Priority::Low,
            "give the topic more partitions",
            reason,
            command,
        ))
    }
}

fn spread_keys() -> Recommendation {
    let reason = "a partition has one owner, so neither more consumers nor more partitions help while few keys have most of the records";
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

/// The name as one word of a shell; none if it is too long or has what nobody should paste.
pub(super) fn quoted(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 249 || shown(name) != name {
        None
    } else if name.chars().all(plain) && !name.starts_with('-') {
        Some(name.to_owned())
    } else {
        Some(format!("'{}'", name.replace('\'', r"'\''")))
    }
}
