//! Which of the consumed topics exist.
//!
//! A consumer of a topic that does not exist is assigned nothing and gets no error: it looks like a member without a partition,
//! which is normal while a group has more members than partitions. So the reader of `sandbox.controls`, which has a client and
//! time, looks at the metadata of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared_events::Topic;

use crate::topic_partitions::{Partition, TopicNames};

/// Answers in a row without a topic after which a topic that has existed counts as missing. A broker that starts may not name
/// all topics in its first answer.
const MISSING: u32 = 2;

/// The consumed topics as the last answers of the brokers named them. Clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct TopicWatch {
    names: TopicNames,
    seen: Arc<Mutex<BTreeMap<Topic, Seen>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The number of partitions, when the topic was named the last time. `None` if it was never named.
    partitions: Option<i32>,
    /// Answers in a row that did not name it.
    misses: u32,
}

impl Seen {
    fn is_missing(self) -> bool {
        match self.partitions {
            Some(_) => self.misses >= MISSING,
            None => self.misses > 0,
        }
    }
}

impl TopicWatch {
    pub(crate) fn new(names: TopicNames) -> Self {
        Self {
            names,
            seen: Arc::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<Topic, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer of the brokers: the name of every topic of the cluster, with its number of partitions.
    pub(crate) fn update<'n>(&self, topics: impl IntoIterator<Item = (&'n str, usize)>) {
        let topics = topics.into_iter();
        let named: BTreeMap<Topic, i32> = topics
            .filter_map(|(name, partitions)| {
                Some((self.names.topic(name)?, i32::try_from(partitions).ok()?))
            })
            .collect();
        let mut seen = self.seen();
        for topic in self.names.topics() {
            let entry = seen.entry(topic).or_default();
            match named.get(&topic) {
                Some(partitions) => {
                    *entry = Seen {
                        partitions: Some(*partitions),
                        misses: 0,
                    };
                }
                None => entry.misses = entry.misses.saturating_add(1),
            }
        }
    }

    /// The consumed topics that do not exist. Empty before the first answer.
    pub(crate) fn missing_topics(&self) -> Vec<Topic> {
        let seen = self.seen();
        let missing = seen.iter().filter(|(_, seen)| seen.is_missing());
        missing.map(|(topic, _)| *topic).collect()
    }

    /// The assigned partitions that their topic does not have: it was deleted and created again with fewer.
    pub(crate) fn missing_partitions(&self, assigned: &BTreeSet<Partition>) -> Vec<Partition> {
        let seen = self.seen();
        let is_missing = |partition: &&Partition| {
            let of_topic = seen.get(&partition.topic).filter(|seen| seen.misses == 0);
            let partitions = of_topic.and_then(|seen| seen.partitions);
            partitions.is_some_and(|partitions| partition.number >= partitions)
        };
        assigned.iter().filter(is_missing).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> TopicWatch {
        TopicWatch::new(TopicNames::new([
            (Topic::Orders, "a.orders".to_owned()),
            (Topic::Inventory, "a.inventory".to_owned()),
        ]))
    }

    const BOTH: [(&str, usize); 3] = [("a.orders", 3), ("a.inventory", 1), ("orders", 9)];

    #[test]
    fn a_topic_that_is_not_named_twice_in_a_row_is_missing() {
        let watch = watch();
        assert_eq!(watch.missing_topics(), []);
        watch.update(BOTH);
        watch.update([("a.orders", 3)]);
        assert_eq!(watch.missing_topics(), []);
        watch.update(BOTH);
        watch.update([("a.orders", 3)]);
        watch.update([("a.orders", 3)]);
        assert_eq!(watch.missing_topics(), [Topic::Inventory]);
        watch.update(BOTH);
        assert_eq!(watch.missing_topics(), []);
    }

    #[test]
    fn a_topic_that_was_never_named_is_missing_at_once() {
        let watch = watch();
        watch.update([("a.inventory", 1)]);
        assert_eq!(watch.missing_topics(), [Topic::Orders]);
    }

    #[test]
    fn a_partition_beyond_the_end_of_its_topic_is_missing() {
        let watch = watch();
        let third = Partition {
            topic: Topic::Orders,
            number: 2,
        };
        let assigned = BTreeSet::from([third]);
        assert_eq!(watch.missing_partitions(&assigned), []);
        watch.update(BOTH);
        assert_eq!(watch.missing_partitions(&assigned), []);
        watch.update([("a.orders", 2), ("a.inventory", 1)]);
        assert_eq!(watch.missing_partitions(&assigned), [third]);
    }
}
