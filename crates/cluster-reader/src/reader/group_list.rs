//! Lists the groups of a cluster and describes each at its coordinator.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{DescribeGroupsRequest, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;

use super::group_coordinator::{
    DescribeResult, DescribedGroup, describe_classic, describe_consumer, is_consumer_type,
    read_committed_offsets,
};
use crate::error::ReadError;
use crate::protocol::brokers::{BrokerId, Brokers, Topics};
use crate::snapshot::Protocol;

/// The topic in which Kafka keeps groups. Kafka creates it when the first member joins a group, and
/// until then no broker answers requests about groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

type GroupProtocols = BTreeMap<String, Protocol>;

/// The groups that a reader knows.
///
/// A broker that has just started answers for about a second that it has no groups, without an
/// error, while it loads them. So known groups are asked for by name, and a group is forgotten only
/// when its coordinator answers that it does not exist.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Groups that the caller asked to remember.
    remembered: BTreeSet<String>,
    /// Groups that the last poll found.
    known: GroupProtocols,
}

impl Groups {
    pub fn remember(&mut self, group: &str) {
        self.remembered.insert(group.to_owned());
    }

    /// Reads all groups of the cluster, with their committed offsets.
    pub async fn read(
        &mut self,
        brokers: &mut Brokers,
        topics: &Topics,
    ) -> Result<BTreeMap<String, DescribedGroup>, ReadError> {
        let mut groups = BTreeMap::new();
        if topics.contains_key(OFFSETS_TOPIC) {
            let mut unlisted = self.known.clone();
            for name in &self.remembered {
                unlisted.entry(name.clone()).or_insert(Protocol::Classic);
            }
            for broker in brokers.ids() {
                let listed = list(brokers, broker).await?;
                unlisted.retain(|name, _| !listed.contains_key(name));
                let (found, elsewhere) = describe(brokers, broker, listed).await?;
                groups.extend(found);
                expect_none(brokers, broker, &elsewhere)?;
            }
            groups.extend(find_unlisted(brokers, unlisted).await?);
        }
        let known = groups.iter();
        self.known = known
            .map(|(name, group): (&String, &DescribedGroup)| (name.clone(), group.protocol))
            .collect();
        Ok(groups)
    }
}

/// Asks each broker for the groups that no broker has listed.
async fn find_unlisted(
    brokers: &mut Brokers,
    mut unlisted: GroupProtocols,
) -> Result<BTreeMap<String, DescribedGroup>, ReadError> {
    let mut groups = BTreeMap::new();
    let mut last = -1;
    for broker in brokers.ids() {
        last = broker;
        let (found, elsewhere) = describe(brokers, broker, unlisted).await?;
        groups.extend(found);
        unlisted = elsewhere;
    }
    expect_none(brokers, last, &unlisted)?;
    Ok(groups)
}

/// Fails if a group is left. A group that every broker says another broker coordinates exists, but
/// cannot be read now.
fn expect_none(
    brokers: &Brokers,
    broker: BrokerId,
    groups: &GroupProtocols,
) -> Result<(), ReadError> {
    match groups.first_key_value() {
        None => Ok(()),
        Some((name, _)) => {
            let call = brokers.call::<DescribeGroupsRequest>(broker);
            let code = ResponseError::NotCoordinator.code();
            call.check(code, || format!("group {name}"))
        }
    }
}

/// The consumer groups that a broker coordinates.
async fn list(brokers: &mut Brokers, broker: BrokerId) -> Result<GroupProtocols, ReadError> {
    let types = ["classic", "consumer"].map(StrBytes::from_static_str);
    let request = ListGroupsRequest::default().with_types_filter(types.into());
    let response = brokers.send(broker, &request).await?;
    let call = brokers.call::<ListGroupsRequest>(broker);
    call.check(response.error_code, || "its groups".to_owned())?;
    let groups = response.groups.iter();
    let consumers = groups.filter(|one| is_consumer_type(&one.protocol_type));
    let protocol = |name: &str| match name.eq_ignore_ascii_case("consumer") {
        true => Protocol::Consumer,
        false => Protocol::Classic,
    };
    Ok(consumers
        .map(|one| (one.group_id.0.to_string(), protocol(&one.group_type)))
        .collect())
}

/// Describes groups at a broker. Returns the groups found, and those that the broker says another
/// one coordinates. A group in neither does not exist.
async fn describe(
    brokers: &mut Brokers,
    broker: BrokerId,
    groups: GroupProtocols,
) -> Result<(BTreeMap<String, DescribedGroup>, GroupProtocols), ReadError> {
    let (mut found, mut elsewhere) = (BTreeMap::new(), GroupProtocols::new());
    let of_protocol = |wanted: Protocol| -> BTreeSet<String> {
        let of = groups.iter().filter(|(_, protocol)| **protocol == wanted);
        of.map(|(name, _)| name.clone()).collect()
    };
    let mut classic = of_protocol(Protocol::Classic);
    let mut consumer = of_protocol(Protocol::Consumer);
    // A group may have changed its protocol since it was listed, and the protocol of a remembered
    // group is a guess. The second round asks for the groups not found by the other protocol.
    for _ in 0..2 {
        let mut results = describe_classic(brokers, broker, &classic).await?;
        results.extend(describe_consumer(brokers, broker, &consumer).await?);
        let (mut no_classic, mut no_consumer) = (BTreeSet::new(), BTreeSet::new());
        for (name, result) in results {
            let asked_as_classic = classic.contains(&name);
            match result {
                DescribeResult::Found(group) => drop(found.insert(name, group)),
                DescribeResult::NotFound if asked_as_classic => drop(no_classic.insert(name)),
                DescribeResult::NotFound => drop(no_consumer.insert(name)),
                DescribeResult::NotCoordinator => {
                    let protocol = groups.get(&name).copied().unwrap_or(Protocol::Classic);
                    elsewhere.insert(name, protocol);
                }
            }
        }
        (classic, consumer) = (no_consumer, no_classic);
    }
    read_committed_offsets(brokers, broker, &mut found).await?;
    Ok((found, elsewhere))
}
