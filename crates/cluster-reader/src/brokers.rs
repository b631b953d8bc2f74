//! The brokers of a cluster: where they are, and one connection to each.

use std::collections::{BTreeMap, HashMap};
use std::io;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::protocol::Request;

use crate::connection::{Connection, asked};
use crate::error::{Asked, ReadError};
use crate::reader::ReaderSettings;
use crate::snapshot::TopicPartition;

/// A broker's number.
pub(crate) type Node = i32;

/// Topics as the brokers know them, by name.
pub(crate) type Topics = BTreeMap<String, MetadataResponseTopic>;

/// Connections to the brokers that the cluster has.
#[derive(Debug)]
pub(crate) struct Brokers {
    settings: ReaderSettings,
    addresses: BTreeMap<Node, String>,
    open: HashMap<Node, Connection>,
}

impl Brokers {
    pub fn new(settings: ReaderSettings) -> Self {
        Self {
            settings,
            addresses: BTreeMap::new(),
            open: HashMap::new(),
        }
    }

    /// Every broker, by number.
    pub fn nodes(&self) -> Vec<Node> {
        self.addresses.keys().copied().collect()
    }

    /// What is said of a call that went wrong.
    pub fn asked<R: Request>(&self, node: Node) -> Asked<'_> {
        asked::<R>(self.addresses.get(&node).map_or("a broker", String::as_str))
    }

    /// Asks a broker. The connection is kept only after an answer: after an error, or when the caller gives up, it is gone.
    pub async fn ask<R: Request>(
        &mut self,
        node: Node,
        request: &R,
    ) -> Result<R::Response, ReadError> {
        let mut connection = match self.open.remove(&node) {
            Some(connection) => connection,
            None => {
                let address = self.addresses.get(&node).ok_or_else(|| {
                    let of = asked::<R>(&self.settings.bootstrap_servers);
                    of.incomplete(format!("broker {node}"), "no broker has that number")
                })?;
                self.connect(address).await?
            }
        };
        let answer = connection.ask(request).await?;
        self.open.insert(node, connection);
        Ok(answer)
    }

    /// Learns which brokers and topics there are.
    pub async fn topics(&mut self) -> Result<Topics, ReadError> {
        let (from, answer) = self.metadata().await?;
        let of = asked::<MetadataRequest>(from.broker());
        of.fine(answer.error_code, || "the cluster".to_owned())?;
        let topics = topics(of, &answer)?;
        let brokers = answer.brokers.iter();
        self.addresses = brokers
            .map(|one| (one.node_id.0, format!("{}:{}", one.host.as_str(), one.port)))
            .collect();
        let addresses = &self.addresses;
        self.open
            .retain(|node, kept| addresses.get(node).is_some_and(|at| at == kept.broker()));
        let same = addresses.iter().find(|(_, at)| *at == from.broker());
        if let Some((node, _)) = same {
            self.open.insert(*node, from);
        }
        Ok(topics)
    }

    /// Asks whom it is connected to, else the addresses of the settings, one after the other. A connection that was kept may have
    /// ended since: that is no answer about the cluster.
    async fn metadata(&mut self) -> Result<(Connection, MetadataResponse), ReadError> {
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false);
        while let Some(node) = self.open.keys().next().copied() {
            let Some(mut kept) = self.open.remove(&node) else {
                break;
            };
            match kept.ask(&request).await {
                Ok(answer) => return Ok((kept, answer)),
                Err(ReadError::Disconnected { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut failed = ReadError::Unreachable {
            broker: self.settings.bootstrap_servers.clone(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "no address is given"),
        };
        let addresses = self.settings.bootstrap_servers.split(',').map(str::trim);
        for address in addresses.filter(|address| !address.is_empty()) {
            match self.connect(address).await {
                Ok(mut connection) => match connection.ask(&request).await {
                    Ok(answer) => return Ok((connection, answer)),
                    Err(error) => failed = error,
                },
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn connect(&self, address: &str) -> Result<Connection, ReadError> {
        let ReaderSettings {
            client_id, timeout, ..
        } = &self.settings;
        Connection::open(address, client_id, *timeout).await
    }
}

/// By name. A topic that is just being deleted is left out; one that the broker cannot tell of makes the poll fail.
fn topics(of: Asked<'_>, answer: &MetadataResponse) -> Result<Topics, ReadError> {
    use kafka_protocol::ResponseError::UnknownTopicOrPartition;
    let mut topics = Topics::new();
    for topic in &answer.topics {
        let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
        if topic.error_code == UnknownTopicOrPartition.code() {
            continue;
        }
        of.fine(topic.error_code, || format!("topic {name}"))?;
        topics.insert(name.to_owned(), topic.clone());
    }
    Ok(topics)
}

/// A partition of a topic, as the brokers know it.
pub(crate) fn partition<'a>(
    topics: &'a Topics,
    at: &TopicPartition,
) -> Option<&'a MetadataResponsePartition> {
    let partitions = &topics.get(&at.topic)?.partitions;
    partitions
        .iter()
        .find(|one| one.partition_index == at.partition)
}

/// The partitions, by the broker that leads them. One without a leader makes the poll fail.
pub(crate) fn by_leader(
    of: Asked<'_>,
    topics: &Topics,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> Result<BTreeMap<Node, Vec<TopicPartition>>, ReadError> {
    let mut by_leader = BTreeMap::<Node, Vec<TopicPartition>>::new();
    for at in partitions {
        match partition(topics, &at).map(|one| one.leader_id.0) {
            Some(leader) if leader >= 0 => by_leader.entry(leader).or_default().push(at),
            _ => return Err(of.incomplete(at.to_string(), "it has no leader")),
        }
    }
    Ok(by_leader)
}
