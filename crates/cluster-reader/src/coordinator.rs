//! What a group's coordinator tells: who is in it, and what it has committed.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, OffsetFetchRequest,
    consumer_group_describe_response as consumer, describe_groups_response as classic,
};
use kafka_protocol::protocol::StrBytes;

use crate::assignment;
use crate::brokers::{Brokers, Node};
use crate::error::{Asked, ReadError};
use crate::snapshot::{GroupMember, Owner, Protocol, TopicPartition};

/// A group as its coordinator tells it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub state: String,
    pub protocol: Protocol,
    pub members: Vec<GroupMember>,
    pub committed: BTreeMap<TopicPartition, i64>,
}

/// What a broker says to the question about a group.
pub(crate) enum Told {
    Found(Found),
    /// There is no such group of this protocol.
    NoSuchGroup,
    /// Another broker knows, if any.
    Elsewhere,
}

/// Kafka Connect and others use groups for other things. A group that only has offsets has no type.
pub(crate) fn is_of_consumers(protocol_type: &str) -> bool {
    protocol_type.is_empty() || protocol_type == "consumer"
}

/// What an error code says about a group, apart from real errors.
fn without_group(of: Asked<'_>, code: i16, name: &str) -> Result<Option<Told>, ReadError> {
    match ResponseError::try_from_code(code) {
        None => Ok(None),
        Some(ResponseError::GroupIdNotFound) => Ok(Some(Told::NoSuchGroup)),
        Some(ResponseError::NotCoordinator) => Ok(Some(Told::Elsewhere)),
        Some(_) => of.fine(code, || format!("group {name}")).map(|()| None),
    }
}

fn ids(names: &BTreeSet<String>) -> Vec<GroupId> {
    let ids = names.iter().cloned().map(StrBytes::from_string);
    ids.map(GroupId).collect()
}

/// Asks about groups of this protocol.
pub(crate) async fn describe_classic(
    brokers: &mut Brokers,
    node: Node,
    names: &BTreeSet<String>,
) -> Result<Vec<(String, Told)>, ReadError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let request = DescribeGroupsRequest::default().with_groups(ids(names));
    let answer = brokers.ask(node, &request).await?;
    let of = brokers.asked::<DescribeGroupsRequest>(node);
    let told = answer.groups.into_iter().map(|group| {
        let name = group.group_id.0.to_string();
        let told = without_group(of, group.error_code, &name)?.unwrap_or_else(|| classic(group));
        Ok((name, told))
    });
    complete(of, names, told.collect::<Result<_, _>>()?)
}

fn classic(group: classic::DescribedGroup) -> Told {
    let state = group.group_state.to_string();
    // Before version 6 a group that is not there was a dead one.
    if state == "Dead" || !is_of_consumers(&group.protocol_type) {
        return Told::NoSuchGroup;
    }
    let members = group.members.into_iter().map(|member| GroupMember {
        owner: owner(&member.member_id, &member.client_id, &member.client_host),
        instance_id: member.group_instance_id.map(|id| id.to_string()),
        owns: assignment::partitions(&member.member_assignment),
    });
    Told::Found(Found {
        state,
        protocol: Protocol::Classic,
        members: members.collect(),
        committed: BTreeMap::new(),
    })
}

/// Asks about groups of this protocol.
pub(crate) async fn describe_consumer(
    brokers: &mut Brokers,
    node: Node,
    names: &BTreeSet<String>,
) -> Result<Vec<(String, Told)>, ReadError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(ids(names));
    let answer = brokers.ask(node, &request).await?;
    let of = brokers.asked::<ConsumerGroupDescribeRequest>(node);
    let told = answer.groups.into_iter().map(|group| {
        let name = group.group_id.0.to_string();
        let told = without_group(of, group.error_code, &name)?.unwrap_or_else(|| consumer(group));
        Ok((name, told))
    });
    complete(of, names, told.collect::<Result<_, _>>()?)
}

fn consumer(group: consumer::DescribedGroup) -> Told {
    let members = group.members.into_iter().map(|member| {
        let mut owns = Vec::new();
        for topic in &member.assignment.topic_partitions {
            owns.extend(topic.partitions.iter().map(|partition| TopicPartition {
                topic: topic.topic_name.0.to_string(),
                partition: *partition,
            }));
        }
        owns.sort();
        GroupMember {
            owner: owner(&member.member_id, &member.client_id, &member.client_host),
            instance_id: member.instance_id.map(|id| id.to_string()),
            owns,
        }
    });
    Told::Found(Found {
        state: group.group_state.to_string(),
        protocol: Protocol::Consumer,
        members: members.collect(),
        committed: BTreeMap::new(),
    })
}

fn owner(member_id: &StrBytes, client_id: &StrBytes, host: &StrBytes) -> Owner {
    Owner {
        member_id: member_id.to_string(),
        client_id: client_id.to_string(),
        host: host.to_string(),
    }
}

/// Every group that was asked for is in the answer.
fn complete(
    of: Asked<'_>,
    names: &BTreeSet<String>,
    told: Vec<(String, Told)>,
) -> Result<Vec<(String, Told)>, ReadError> {
    let answered: BTreeSet<&String> = told.iter().map(|(name, _)| name).collect();
    match names.iter().find(|name| !answered.contains(name)) {
        None => Ok(told),
        Some(name) => Err(of.incomplete(format!("group {name}"), "it is not in the answer")),
    }
}

/// Adds what the groups have committed. Offsets within an open transaction are not waited for, as Kafka's tool does not.
pub(crate) async fn commits(
    brokers: &mut Brokers,
    node: Node,
    groups: &mut BTreeMap<String, Found>,
) -> Result<(), ReadError> {
    if groups.is_empty() {
        return Ok(());
    }
    let asked = groups.keys().map(|name| {
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(name.clone())))
            .with_topics(None)
            .with_member_epoch(-1)
    });
    let request = OffsetFetchRequest::default()
        .with_groups(asked.collect())
        .with_require_stable(false);
    let answer = brokers.ask(node, &request).await?;
    let of = brokers.asked::<OffsetFetchRequest>(node);
    let mut answered = BTreeSet::new();
    for told in answer.groups {
        let name = told.group_id.0.to_string();
        of.fine(told.error_code, || format!("group {name}"))?;
        if let Some(group) = groups.get_mut(&name) {
            group.committed = committed(of, &name, &told)?;
            answered.insert(name);
        }
    }
    match groups.keys().find(|name| !answered.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(of.incomplete(format!("group {name}"), "it is not in the answer")),
    }
}

fn committed(
    of: Asked<'_>,
    group: &str,
    told: &OffsetFetchResponseGroup,
) -> Result<BTreeMap<TopicPartition, i64>, ReadError> {
    let mut committed = BTreeMap::new();
    for topic in &told.topics {
        for one in &topic.partitions {
            let at = TopicPartition {
                topic: topic.name.0.to_string(),
                partition: one.partition_index,
            };
            of.fine(one.error_code, || format!("group {group} on {at}"))?;
            if one.committed_offset >= 0 {
                committed.insert(at, one.committed_offset);
            }
        }
    }
    Ok(committed)
}
