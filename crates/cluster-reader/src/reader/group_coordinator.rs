//! Requests to a group's coordinator: the group's members, and its committed offsets.
//!
//! A classic group and a KIP-848 group are described by different calls. A call of the wrong
//! protocol answers "not found", which is [`DescribeResult::NotFound`].

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, OffsetFetchRequest,
    consumer_group_describe_response as consumer, describe_groups_response as classic,
};
use kafka_protocol::protocol::StrBytes;

use crate::error::{Call, ReadError};
use crate::protocol::brokers::{BrokerId, Brokers};
use crate::protocol::member_assignment;
use crate::snapshot::{GroupMember, Owner, Protocol, TopicPartition};

/// A group as its coordinator describes it.
#[derive(Debug, Clone)]
pub(super) struct DescribedGroup {
    pub state: String,
    pub protocol: Protocol,
    pub members: Vec<GroupMember>,
    pub committed: BTreeMap<TopicPartition, i64>,
}

/// A broker's answer about one group.
pub(super) enum DescribeResult {
    Found(DescribedGroup),
    /// No group of this name and protocol exists.
    NotFound,
    /// This broker does not coordinate the group.
    NotCoordinator,
}

/// Whether a group consists of consumers. Kafka Connect and others use groups for other purposes.
/// A group that only has committed offsets has an empty type.
pub(super) fn is_consumer_type(protocol_type: &str) -> bool {
    protocol_type.is_empty() || protocol_type == "consumer"
}

/// `Some` if the error code says that the broker has no such group; an error for other codes.
fn without_group(
    call: Call<'_>,
    code: i16,
    name: &str,
) -> Result<Option<DescribeResult>, ReadError> {
    match ResponseError::try_from_code(code) {
        None => Ok(None),
        Some(ResponseError::GroupIdNotFound) => Ok(Some(DescribeResult::NotFound)),
        Some(ResponseError::NotCoordinator) => Ok(Some(DescribeResult::NotCoordinator)),
        Some(_) => {
            call.check(code, || format!("group {name}"))?;
            Ok(None)
        }
    }
}

fn ids(names: &BTreeSet<String>) -> Vec<GroupId> {
    let ids = names.iter().cloned().map(StrBytes::from_string);
    ids.map(GroupId).collect()
}

/// Describes classic groups.
pub(super) async fn describe_classic(
    brokers: &mut Brokers,
    broker: BrokerId,
    names: &BTreeSet<String>,
) -> Result<Vec<(String, DescribeResult)>, ReadError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let request = DescribeGroupsRequest::default().with_groups(ids(names));
    let response = brokers.send(broker, &request).await?;
    let call = brokers.call::<DescribeGroupsRequest>(broker);
    let described = response.groups.into_iter().map(|group| {
        let name = group.group_id.0.to_string();
        let absent = without_group(call, group.error_code, &name)?;
        Ok((name, absent.unwrap_or_else(|| classic(group))))
    });
    complete(call, names, described.collect::<Result<_, _>>()?)
}

fn classic(group: classic::DescribedGroup) -> DescribeResult {
    let state = group.group_state.to_string();
    // Before version 6 of the call a group that does not exist was described as dead.
    if state == "Dead" || !is_consumer_type(&group.protocol_type) {
        return DescribeResult::NotFound;
    }
    let members = group.members.into_iter().map(|member| GroupMember {
        owner: owner(&member.member_id, &member.client_id, &member.client_host),
        instance_id: member.group_instance_id.map(|id| id.to_string()),
        assignment: member_assignment::partitions(&member.member_assignment),
    });
    DescribeResult::Found(DescribedGroup {
        state,
        protocol: Protocol::Classic,
        members: members.collect(),
        committed: BTreeMap::new(),
    })
}

/// Describes KIP-848 groups.
pub(super) async fn describe_consumer(
    brokers: &mut Brokers,
    broker: BrokerId,
    names: &BTreeSet<String>,
) -> Result<Vec<(String, DescribeResult)>, ReadError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(ids(names));
    let response = brokers.send(broker, &request).await?;
    let call = brokers.call::<ConsumerGroupDescribeRequest>(broker);
    let described = response.groups.into_iter().map(|group| {
        let name = group.group_id.0.to_string();
        let absent = without_group(call, group.error_code, &name)?;
        Ok((name, absent.unwrap_or_else(|| consumer(group))))
    });
    complete(call, names, described.collect::<Result<_, _>>()?)
}

fn consumer(group: consumer::DescribedGroup) -> DescribeResult {
    let members = group.members.into_iter().map(|member| {
        let mut assignment = Vec::new();
        for topic in &member.assignment.topic_partitions {
            assignment.extend(topic.partitions.iter().map(|partition| TopicPartition {
                topic: topic.topic_name.0.to_string(),
                partition: *partition,
            }));
        }
        assignment.sort();
        GroupMember {
            owner: owner(&member.member_id, &member.client_id, &member.client_host),
            instance_id: member.instance_id.map(|id| id.to_string()),
            assignment,
        }
    });
    DescribeResult::Found(DescribedGroup {
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

/// Fails if the response leaves out a group that was asked for.
fn complete(
    call: Call<'_>,
    names: &BTreeSet<String>,
    described: Vec<(String, DescribeResult)>,
) -> Result<Vec<(String, DescribeResult)>, ReadError> {
    let answered: BTreeSet<&String> = described.iter().map(|(name, _)| name).collect();
    match names.iter().find(|name| !answered.contains(name)) {
        None => Ok(described),
        Some(name) => Err(call.incomplete(format!("group {name}"), "it is not in the answer")),
    }
}

/// Adds the committed offsets of the groups. `require_stable` is off, as in Kafka's own tool:
/// offsets that an open transaction will commit are not waited for.
pub(super) async fn read_committed_offsets(
    brokers: &mut Brokers,
    broker: BrokerId,
    groups: &mut BTreeMap<String, DescribedGroup>,
) -> Result<(), ReadError> {
    if groups.is_empty() {
        return Ok(());
    }
    let wanted = groups.keys().map(|name| {
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(StrBytes::from_string(name.clone())))
            .with_topics(None)
            .with_member_epoch(-1)
    });
    let request = OffsetFetchRequest::default()
        .with_groups(wanted.collect())
        .with_require_stable(false);
    let response = brokers.send(broker, &request).await?;
    let call = brokers.call::<OffsetFetchRequest>(broker);
    let mut answered = BTreeSet::new();
    for fetched in response.groups {
        let name = fetched.group_id.0.to_string();
        call.check(fetched.error_code, || format!("group {name}"))?;
        if let Some(group) = groups.get_mut(&name) {
            group.committed = committed(call, &name, &fetched)?;
            answered.insert(name);
        }
    }
    match groups.keys().find(|name| !answered.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(call.incomplete(format!("group {name}"), "it is not in the answer")),
    }
}

fn committed(
    call: Call<'_>,
    group: &str,
    fetched: &OffsetFetchResponseGroup,
) -> Result<BTreeMap<TopicPartition, i64>, ReadError> {
    let mut committed = BTreeMap::new();
    for topic in &fetched.topics {
        for one in &topic.partitions {
            let at = TopicPartition {
                topic: topic.name.0.to_string(),
                partition: one.partition_index,
            };
            call.check(one.error_code, || format!("group {group} on {at}"))?;
            if one.committed_offset >= 0 {
                committed.insert(at, one.committed_offset);
            }
        }
    }
    Ok(committed)
}
