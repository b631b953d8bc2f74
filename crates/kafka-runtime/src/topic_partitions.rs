//! The partitions of a member's topics, and the names of these topics on the broker.

use std::collections::BTreeMap;

use rdkafka::Offset;
use rdkafka::topic_partition_list::TopicPartitionList;
use shared_events::Topic;

/// One partition of one of the member's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition {
    pub(crate) topic: Topic,
    pub(crate) number: i32,
}

/// One offset per partition.
pub(crate) type Offsets = BTreeMap<Partition, i64>;

/// The topics that a member consumes, each with its full name on the broker.
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

    /// The topic with this name. `None` only for a topic that the member has not subscribed to.
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

    /// librdkafka's list of these partitions, each with its offset.
    pub(crate) fn list(
        &self,
        offsets: impl IntoIterator<Item = (Partition, Offset)>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            // Fails only on an invalid offset, which the callers never pass.
            let _ = list.add_partition_offset(self.name(partition.topic), partition.number, offset);
        }
        list
    }

    /// As [`TopicNames::list`], of plain offsets.
    pub(crate) fn offset_list<'o>(
        &self,
        offsets: impl IntoIterator<Item = (&'o Partition, &'o i64)>,
    ) -> TopicPartitionList {
        let offsets = offsets.into_iter();
        self.list(offsets.map(|(partition, offset)| (*partition, Offset::Offset(*offset))))
    }
}
