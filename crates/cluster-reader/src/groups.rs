//! Which groups there are.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{DescribeGroupsRequest, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::brokers::{Brokers, Node, Topics};
use crate::coordinator::{
    Found, Told, commits, describe_classic, describe_consumer, is_of_consumers,
};
use crate::error::ReadError;
use crate::snapshot::Protocol;

/// Where groups are kept. Before anybody has joined one, it is not there, and no broker answers about groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

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
