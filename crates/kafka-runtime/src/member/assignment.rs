//! Which partitions are ours, as the rebalance callbacks tell it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use shared_events::Topic;

use crate::client::Connection;
use crate::stray::{Fetching, KnownBrokers};

/// One partition of one of our topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: Topic,
    /// The partition's number.
    pub number: i32,
}

/// The names on the broker of the topics a member reads.
#[derive(Debug, Clone)]
pub(crate) struct TopicNames(Vec<(Topic, String)>);

impl TopicNames {
    pub(crate) fn new(names: impl IntoIterator<Item = (Topic, String)>) -> Self {
        Self(names.into_iter().collect())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(_, name)| name.as_str()).collect()
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = Topic> {
        self.0.iter().map(|(topic, _)| *topic)
    }

    /// The topic with this name: one of ours, since nothing else was subscribed to.
    pub(crate) fn topic(&self, name: &str) -> Option<Topic> {
        self.0
            .iter()
            .find(|(_, known)| known == name)
            .map(|(topic, _)| *topic)
    }

    pub(crate) fn name(&self, topic: Topic) -> &str {
        self.0
            .iter()
            .find(|(known, _)| *known == topic)
            .map_or("", |(_, name)| name)
    }

    pub(crate) fn partitions(&self, list: &TopicPartitionList) -> Vec<Partition> {
        let partition =
            |name: &str, number| self.topic(name).map(|topic| Partition { topic, number });
        list.elements()
            .iter()
            .filter_map(|element| partition(element.topic(), element.partition()))
            .collect()
    }

    /// A list of partitions with an offset each, as librdkafka takes it.
    pub(crate) fn list(
        &self,
        offsets: impl IntoIterator<Item = (Partition, rdkafka::Offset)>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            // Fails only on an offset that is no offset, which ours never are.
            let _ = list.add_partition_offset(self.name(partition.topic), partition.number, offset);
        }
        list
    }
}

#[derive(Debug, Default)]
struct Known {
    assigned: BTreeSet<Partition>,
    revoked: BTreeSet<Partition>,
    fetching: Fetching,
}

/// What the callbacks have told. They run inside `poll`, on the member's own thread; others only look.
#[derive(Clone)]
pub(crate) struct Assignment {
    names: TopicNames,
    connection: Connection,
    rebalances: IntCounter,
    brokers: KnownBrokers,
    known: Arc<Mutex<Known>>,
}

impl Assignment {
    pub(crate) fn new(names: TopicNames, connection: Connection, rebalances: IntCounter) -> Self {
        Self {
            names,
            connection,
            rebalances,
            brokers: KnownBrokers::default(),
            known: Arc::default(),
        }
    }

    /// The same for another consumer, which has nothing yet.
    pub(crate) fn anew(&self) -> Self {
        Self {
            brokers: KnownBrokers::default(),
            known: Arc::default(),
            ..self.clone()
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The topic with this name.
    pub(crate) fn topic(&self, name: &str) -> Option<Topic> {
        self.names.topic(name)
    }

    /// The names of the topics.
    pub(crate) fn names(&self) -> &TopicNames {
        &self.names
    }

    /// A broker answered.
    pub(crate) fn reached(&self) {
        self.connection.reached();
    }

    /// Whether the client has lost every broker for good.
    pub(crate) fn is_stray(&self) -> bool {
        self.brokers.are_lost()
    }

    /// Whether all that is ours is fetched, as it was lately.
    pub(crate) fn has_begun(&self) -> bool {
        self.known().fetching.has_begun()
    }

    /// Whether the client waits for a group's offset that nobody tells it.
    pub(crate) fn is_stuck(&self) -> bool {
        self.known().fetching.is_stuck()
    }

    /// The partitions that are ours now.
    pub(crate) fn assigned(&self) -> BTreeSet<Partition> {
        self.known().assigned.clone()
    }

    /// The partitions taken from us since the last call, also those that came back meanwhile.
    pub(crate) fn take_revoked(&self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.known().revoked)
    }

    /// How often the group gave us an assignment. 0: not in the group yet; more with nothing assigned: idle, since there are
    /// more members than partitions.
    pub(crate) fn rebalances(&self) -> u64 {
        self.rebalances.get()
    }
}

impl ClientContext for Assignment {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.brokers.take(&statistics);
        let mut known = self.known();
        let Known {
            assigned, fetching, ..
        } = &mut *known;
        let ours = assigned.iter();
        let ours = ours.map(|partition| (self.names.name(partition.topic), partition.number));
        fetching.take(&statistics, ours);
        drop(known);
        self.connection.stats(statistics);
    }
}

impl ConsumerContext for Assignment {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut known = self.known();
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = self.names.partitions(list);
                tracing::info!(?partitions, "partitions assigned");
                known.assigned.extend(partitions);
                self.rebalances.inc();
            }
            Rebalance::Revoke(list) => {
                let partitions = self.names.partitions(list);
                tracing::info!(?partitions, "partitions revoked");
                known
                    .assigned
                    .retain(|assigned| !partitions.contains(assigned));
                known.revoked.extend(partitions);
            }
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}
