//! Issue 5586: a partition whose committed offset is never returned, and which is therefore never fetched.

use rdkafka::statistics::Statistics;

/// Statistics in a row after which a partition that is not fetched counts as silent: 20 s. An open transaction of a dead
/// member may hold the committed offset back for 5 s, so fewer would replace clients that work.
const SILENT: u32 = 4;

/// Whether a consumer fetches all of its partitions, decided by its statistics.
///
/// A broker that has forgotten the end of a transaction is another cause of silence: it never returns the committed offset,
/// and replacing the client does not help (docs/failure-modes.md).
#[derive(Debug, Default)]
pub(super) struct FetchWatch {
    misses: u32,
    fetches_all: bool,
}

impl FetchWatch {
    /// Takes the statistics of a consumer to which these partitions are assigned, each with the full name of its topic.
    pub(super) fn update<'n>(
        &mut self,
        statistics: &Statistics,
        assigned: impl IntoIterator<Item = (&'n str, i32)>,
    ) {
        let mut assigned = assigned.into_iter().peekable();
        let mut brokers = statistics.brokers.values();
        let reached = brokers.any(|one| one.nodeid >= 0 && one.state == "UP");
        if assigned.peek().is_none() || !reached {
            self.misses = 0;
            return;
        }
        self.fetches_all = assigned.all(|(topic, number)| {
            let topic = statistics.topics.get(topic);
            let partition = topic.and_then(|topic| topic.partitions.get(&number));
            partition.is_some_and(|found| found.fetch_state != "none")
        });
        self.misses = if self.fetches_all { 0 } else { self.misses + 1 };
    }

    /// Whether the last statistics showed a fetch of every partition.
    pub(super) fn fetches_all(&self) -> bool {
        self.fetches_all
    }

    pub(super) fn has_silent_partition(&self) -> bool {
        self.misses >= SILENT
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rdkafka::statistics::{Broker, Partition, Topic};

    use super::*;

    fn statistics(broker_state: &str, fetch_states: [&str; 2]) -> Statistics {
        let partitions = (0..).zip(fetch_states).map(|(number, fetch_state)| {
            let partition = Partition {
                fetch_state: fetch_state.to_owned(),
                ..Partition::default()
            };
            (number, partition)
        });
        let topic = Topic {
            partitions: partitions.collect(),
            ..Topic::default()
        };
        let broker = Broker {
            nodeid: 1,
            state: broker_state.to_owned(),
            ..Broker::default()
        };
        Statistics {
            brokers: HashMap::from([("1".to_owned(), broker)]),
            topics: HashMap::from([("orders".to_owned(), topic)]),
            ..Statistics::default()
        }
    }

    fn after(documents: &[(&str, [&str; 2])]) -> (bool, bool) {
        let assigned = [("orders", 0), ("orders", 1)];
        let mut watch = FetchWatch::default();
        for (broker_state, fetch_states) in documents {
            watch.update(&statistics(broker_state, *fetch_states), assigned);
        }
        (watch.fetches_all(), watch.has_silent_partition())
    }

    #[test]
    fn a_partition_is_silent_after_20_seconds_with_a_broker_up() {
        let (waits, fetches) = (("UP", ["active", "none"]), ("UP", ["active", "active"]));
        let down = ("TRY_CONNECT", ["active", "none"]);
        assert_eq!(after(&[waits; 3]), (false, false));
        assert_eq!(after(&[waits; 4]), (false, true));
        assert_eq!(
            after(&[waits, waits, fetches, waits, waits]),
            (false, false)
        );
        assert_eq!(after(&[waits, waits, waits, down, waits]), (false, false));
        assert_eq!(after(&[waits, waits, waits, waits, fetches]), (true, false));
    }

    #[test]
    fn a_consumer_without_partitions_has_no_silent_one() {
        let mut watch = FetchWatch::default();
        for _ in 0..9 {
            watch.update(&statistics("UP", ["none", "none"]), []);
        }
        assert!(!watch.has_silent_partition());
    }
}
