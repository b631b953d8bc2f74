//! Which groups there are, who is in them, and what they have committed.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
    OffsetFetchRequest, consumer_group_describe_response as consumer,
    describe_groups_response as classic,
};
use kafka_protocol::protocol::StrBytes;

use crate::assignment;
use crate::brokers::{Brokers, Node, Topics};
use crate::error::{Asked, ReadError};
use crate::snapshot::{GroupMember, Owner, Protocol, TopicPartition};

/// Where groups are kept. Before anybody has joined one, it is not there, and no broker answers about groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A group as its coordinator tells it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub state: String,
    pub protocol: Protocol,
    pub members: Vec<GroupMember>,
    pub committed: BTreeMap<TopicPartition, i64>,
}

/// The groups that a reader knows of. A broker that has just started answers that there are none, without an error, while it
/// loads them (measured: 1.3 s). So known groups are asked for by name, and are forgotten only when it says that there is no such
/// group.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Asked for by whoever reads.
    named: BTreeSet<String>,
    /// Found in the last poll.
    known: BTreeMap<String, Protocol>,
}

/// What a broker says to the question about a group.
enum Told {
    Found(Found),
    /// There is no such group of this protocol.
    NoSuchGroup,
    /// Another broker knows, if any.
    Elsewhere,
}

impl Groups {
    /// Asks for this group from now on, whether it is listed or not.
    pub fn remember(&mut self, group: &str) {
        self.named.insert(group.to_owned());
    }

    /// All groups of the cluster.
    pub async fn read(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
    ) -> Result<BTreeMap<String, Found>, ReadError> {
        let mut groups = BTreeMap::new();
        if topics.contains_key(OFFSETS_TOPIC) {
            let mut unlisted = self.known.clone();
            let named = self
                .named
                .iter()
                .map(|name| (name.clone(), Protocol::Classic));
            named.for_each(|(name, protocol)| {
                unlisted.entry(name).or_insert(protocol);
            });
            for node in brokers.nodes() {
                let listed = list(brokers, node).await?;
                unlisted.retain(|name, _| !listed.contains_key(name));
                let (found, elsewhere) = look(brokers, node, listed).await?;
                groups.extend(found);
                must_be_none(brokers, node, &elsewhere)?;
            }
            let mut asked = brokers.nodes().first().copied();
            for node in brokers.nodes() {
                asked = Some(node);
                let (found, elsewhere) = look(brokers, node, unlisted).await?;
                groups.extend(found);
                unlisted = elsewhere;
            }
            must_be_none(brokers, asked.unwrap_or(-1), &unlisted)?;
        }
        let known = groups.iter();
        self.known = known
            .map(|(name, one): (&String, &Found)| (name.clone(), one.protocol))
            .collect();
        Ok(groups)
    }
}

/// A group of which every broker says that another one coordinates it is there, but cannot be seen now.
fn must_be_none(
    brokers: &Brokers,
    node: Node,
    groups: &BTreeMap<String, Protocol>,
) -> Result<(), ReadError> {
    match groups.first_key_value() {
        None => Ok(()),
        Some((name, _)) => {
            let of = brokers.asked::<DescribeGroupsRequest>(node);
            of.fine(ResponseError::NotCoordinator.code(), || {
                format!("group {name}")
            })
        }
    }
}

/// The groups that a broker coordinates, those of consumers.
async fn list(brokers: &mut Brokers, node: Node) -> Result<BTreeMap<String, Protocol>, ReadError> {
    let types = ["classic", "consumer"].map(StrBytes::from_static_str);
    let request = ListGroupsRequest::default().with_types_filter(types.into());
    let answer = brokers.ask(node, &request).await?;
    let of = brokers.asked::<ListGroupsRequest>(node);
    of.fine(answer.error_code, || "its groups".to_owned())?;
    let consumers = answer
        .groups
        .iter()
        .filter(|one| is_of_consumers(&one.protocol_type));
    let protocol = |name: &str| match name.eq_ignore_ascii_case("consumer") {
        true => Protocol::Consumer,
        false => Protocol::Classic,
    };
    Ok(consumers
        .map(|one| (one.group_id.0.to_string(), protocol(&one.group_type)))
        .collect())
}

/// Kafka Connect and others use groups for other things. A group that only has offsets has no type.
fn is_of_consumers(protocol_type: &str) -> bool {
    protocol_type.is_empty() || protocol_type == "consumer"
}

/// Asks a broker about groups: those it has, and those that it says another one has. What is in neither does not exist.
async fn look(
    brokers: &mut Brokers,
    node: Node,
    groups: BTreeMap<String, Protocol>,
) -> Result<(BTreeMap<String, Found>, BTreeMap<String, Protocol>), ReadError> {
    let (mut found, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
    let of_protocol = |wanted: Protocol| -> BTreeSet<String> {
        let of = groups.iter().filter(|(_, protocol)| **protocol == wanted);
        of.map(|(name, _)| name.clone()).collect()
    };
    let (mut classic, mut consumer) = (
        of_protocol(Protocol::Classic),
        of_protocol(Protocol::Consumer),
    );
    // A group may have changed its protocol since it was listed, and of one that was only named it is not known: a second round asks
    // for what is left by the other protocol.
    for _ in 0..2 {
        let mut told = describe_classic(brokers, node, &classic).await?;
        told.extend(describe_consumer(brokers, node, &consumer).await?);
        let (mut no_classic, mut no_consumer) = (BTreeSet::new(), BTreeSet::new());
        for (name, told) in told {
            let asked_as_classic = classic.contains(&name);
            match told {
                Told::Found(group) => drop(found.insert(name, group)),
                Told::NoSuchGroup if asked_as_classic => drop(no_classic.insert(name)),
                Told::NoSuchGroup => drop(no_consumer.insert(name)),
                Told::Elsewhere => {
                    let protocol = groups.get(&name).copied().unwrap_or(Protocol::Classic);
                    elsewhere.insert(name, protocol);
                }
            }
        }
        (classic, consumer) = (no_consumer, no_classic);
    }
    commits(brokers, node, &mut found).await?;
    Ok((found, elsewhere))
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

async fn describe_classic(
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

async fn describe_consumer(
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
async fn commits(
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
