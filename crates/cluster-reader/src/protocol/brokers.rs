//! The brokers of a cluster, with one connection to each.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::protocol::Request;

use super::connection::{Connection, call};
use crate::error::{Call, ReadError};
use crate::snapshot::TopicPartition;

/// How to connect to a cluster.
#[derive(Debug, Clone)]
pub struct ReaderSettings {
    /// `host:port`, or several separated by commas. One broker that answers is enough to find the
    /// others.
    pub bootstrap_servers: String,
    /// `client.id`, as it appears in the brokers' logs.
    pub client_id: String,
    /// The time limit of one request, and of one connection attempt. A poll sends about eight
    /// requests to each broker.
    pub timeout: Duration,
}

/// `node.id` of a broker.
pub(crate) type BrokerId = i32;

/// The metadata of all topics, by name.
pub(crate) type Topics = BTreeMap<String, MetadataResponseTopic>;

/// The brokers of the cluster, and the open connections.
#[derive(Debug)]
pub(crate) struct Brokers {
    settings: ReaderSettings,
    addresses: BTreeMap<BrokerId, String>,
    open: HashMap<BrokerId, Connection>,
}

impl Brokers {
    pub fn new(settings: ReaderSettings) -> Self {
        Self {
            settings,
            addresses: BTreeMap::new(),
            open: HashMap::new(),
        }
    }

    pub fn ids(&self) -> Vec<BrokerId> {
        self.addresses.keys().copied().collect()
    }

    /// A request to this broker, for errors.
    pub fn call<R: Request>(&self, broker: BrokerId) -> Call<'_> {
        call::<R>(
            self.addresses
                .get(&broker)
                .map_or("a broker", String::as_str),
        )
    }

    /// Sends a request and waits for the answer. The connection is kept only after an answer: after
    /// an error, or when the caller drops the future, it is closed.
    pub async fn send<R: Request>(
        &mut self,
        broker: BrokerId,
        request: &R,
    ) -> Result<R::Response, ReadError> {
        let mut connection = match self.open.remove(&broker) {
            Some(connection) => connection,
            None => {
                let address = self.addresses.get(&broker).ok_or_else(|| {
                    let call = call::<R>(&self.settings.bootstrap_servers);
                    call.incomplete(format!("broker {broker}"), "no broker has that number")
                })?;
                self.connect(address).await?
            }
        };
        let answer = connection.send(request).await?;
        self.open.insert(broker, connection);
        Ok(answer)
    }

    /// Reads the metadata: updates the brokers and returns the topics.
    pub async fn topics(&mut self) -> Result<Topics, ReadError> {
        let (from, answer) = self.metadata().await?;
        let call = call::<MetadataRequest>(from.broker());
        call.check(answer.error_code, || "the cluster".to_owned())?;
        let topics = topics(call, &answer)?;
        let brokers = answer.brokers.iter();
        self.addresses = brokers
            .map(|one| (one.node_id.0, format!("{}:{}", one.host.as_str(), one.port)))
            .collect();
        let addresses = &self.addresses;
        self.open
            .retain(|id, kept| addresses.get(id).is_some_and(|at| at == kept.broker()));
        let same = addresses.iter().find(|(_, at)| *at == from.broker());
        if let Some((id, _)) = same {
            self.open.insert(*id, from);
        }
        Ok(topics)
    }

    /// Asks a connected broker, else the configured addresses one after the other. An open
    /// connection may have been closed by the broker since the last poll: then the next one is
    /// tried.
    async fn metadata(&mut self) -> Result<(Connection, MetadataResponse), ReadError> {
        let request = MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false);
        while let Some(id) = self.open.keys().next().copied() {
            let Some(mut kept) = self.open.remove(&id) else {
                break;
            };
            match kept.send(&request).await {
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
                Ok(mut connection) => match connection.send(&request).await {
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

/// A topic that is being deleted is left out. Any other error of a topic fails the poll.
fn topics(call: Call<'_>, answer: &MetadataResponse) -> Result<Topics, ReadError> {
    use kafka_protocol::ResponseError::UnknownTopicOrPartition;
    let mut topics = Topics::new();
    for topic in &answer.topics {
        let name = topic.name.as_ref().map_or("", |name| name.0.as_str());
        if topic.error_code == UnknownTopicOrPartition.code() {
            continue;
        }
        call.check(topic.error_code, || format!("topic {name}"))?;
        topics.insert(name.to_owned(), topic.clone());
    }
    Ok(topics)
}

/// The metadata of a partition.
pub(crate) fn partition<'a>(
    topics: &'a Topics,
    at: &TopicPartition,
) -> Option<&'a MetadataResponsePartition> {
    let partitions = &topics.get(&at.topic)?.partitions;
    partitions
        .iter()
        .find(|one| one.partition_index == at.partition)
}

/// Groups partitions by the broker that leads them. A partition without a leader fails the poll.
pub(crate) fn by_leader(
    call: Call<'_>,
    topics: &Topics,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> Result<BTreeMap<BrokerId, Vec<TopicPartition>>, ReadError> {
    let mut by_leader = BTreeMap::<BrokerId, Vec<TopicPartition>>::new();
    for at in partitions {
        match partition(topics, &at).map(|one| one.leader_id.0) {
            Some(leader) if leader >= 0 => by_leader.entry(leader).or_default().push(at),
            _ => return Err(call.incomplete(at.to_string(), "it has no leader")),
        }
    }
    Ok(by_leader)
}
