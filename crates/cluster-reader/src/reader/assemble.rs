//! Assembles the rows of a group: every partition that the group has committed an offset for or
//! that a member is assigned.

use std::collections::{BTreeMap, BTreeSet};

use super::group_coordinator::DescribedGroup;
use super::log_scan::LogScanner;
use super::partition_scan::Wanted;
use crate::lag::{self, LogOffsets};
use crate::protocol::brokers::{self, Topics};
use crate::snapshot::{Group, Owner, PartitionLag, TopicPartition};

type Logs = BTreeMap<TopicPartition, LogOffsets>;

/// Every partition that the group has committed for or that a member is assigned.
pub(super) fn partitions(group: &DescribedGroup) -> impl Iterator<Item = &TopicPartition> {
    let assigned = group.members.iter().flat_map(|member| &member.assignment);
    group.committed.keys().chain(assigned)
}

/// Every partition that a group has committed for and that does not exist. Assignments do not
/// count: a member writes its own assignment, and may name partitions that never existed.
pub(super) fn missing(
    topics: &Topics,
    groups: &BTreeMap<String, DescribedGroup>,
) -> BTreeSet<TopicPartition> {
    let committed = groups.values().flat_map(|group| group.committed.keys());
    committed
        .filter(|at| brokers::partition(topics, at).is_none())
        .cloned()
        .collect()
}

/// What the groups want to know of each partition that they read.
pub(super) fn wanted_scans(
    topics: &Topics,
    groups: &BTreeMap<String, DescribedGroup>,
    logs: &Logs,
) -> BTreeMap<TopicPartition, Wanted> {
    let mut scans = BTreeMap::<TopicPartition, Wanted>::new();
    for group in groups.values() {
        for at in partitions(group) {
            let Some(log) = logs.get(at) else { continue };
            let wanted = scans.entry(at.clone()).or_insert_with(|| {
                let topic = topics.get(&at.topic);
                Wanted {
                    topic_id: topic.map_or(0, |topic| topic.topic_id.as_u128()),
                    log: *log,
                    committed: BTreeSet::new(),
                    any_record: false,
                }
            });
            match group.committed.get(at) {
                Some(committed) => drop(wanted.committed.insert(*committed)),
                None => wanted.any_record = true,
            }
        }
    }
    scans
}

/// The group with its rows. A member writes its own assignment, so partitions that do not exist get
/// no row: otherwise a member could create any number of rows.
pub(super) fn group(mut found: DescribedGroup, logs: &Logs, scanner: &LogScanner) -> Group {
    for member in &mut found.members {
        member.assignment.retain(|at| logs.contains_key(at));
    }
    let mut owners = BTreeMap::<TopicPartition, &Owner>::new();
    for member in &found.members {
        for at in &member.assignment {
            owners.entry(at.clone()).or_insert(&member.owner);
        }
    }
    let all: BTreeSet<&TopicPartition> = partitions(&found).collect();
    let rows = all.into_iter().map(|at| {
        let committed = found.committed.get(at).copied();
        let log = logs.get(at).copied();
        let scan = scanner.unread(at, committed);
        let row = PartitionLag {
            committed,
            log_offsets: log,
            owner: owners.get(at).map(|owner| (*owner).clone()),
            lag: lag::lag(committed, log, scan),
        };
        (at.clone(), row)
    });
    let partitions = rows.collect();
    Group {
        state: found.state,
        protocol: found.protocol,
        members: found.members,
        partitions,
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::{
        MetadataResponsePartition, MetadataResponseTopic,
    };

    use super::*;
    use crate::snapshot::{GroupMember, Protocol};

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: topic.to_owned(),
            partition,
        }
    }

    #[test]
    fn a_committed_partition_can_be_missing_and_an_assigned_one_cannot() {
        let orders = MetadataResponseTopic::default()
            .with_partitions(vec![MetadataResponsePartition::default()]);
        let topics = Topics::from([("orders".to_owned(), orders)]);
        let (existing, added, deleted) = (at("orders", 0), at("orders", 1), at("payments", 0));
        let owner = Owner {
            member_id: "m".to_owned(),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
        };
        let group = DescribedGroup {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: vec![GroupMember {
                owner,
                instance_id: None,
                assignment: vec![at("never-created", 0)],
            }],
            committed: [existing, added.clone(), deleted.clone()]
                .map(|at| (at, 1))
                .into(),
        };
        let groups = BTreeMap::from([("g".to_owned(), group)]);
        assert_eq!(missing(&topics, &groups), [added, deleted].into());
    }
}
