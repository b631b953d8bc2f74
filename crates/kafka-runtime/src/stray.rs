//! Clients that have lost every broker for good.
//!
//! librdkafka forgets its brokers when a metadata answer names none, and then asks nobody ever again (its issue 5301, open; 2.12.1).
//! A broker that is alone gives such an answer in the moment in which it comes back: of nine consumers whose broker was frozen for
//! 25 s, one was left without. Nothing but another client helps. The statistics come with polls, so a client that nobody polls is not found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::statistics::Statistics;

/// Statistics in a row, one every `statistics.interval.ms`, by which a client that has known a broker knows none. A broker that is
/// merely away stays known.
const LOST: u32 = 2;

/// What a client's statistics say of the brokers it knows. Clones are of one client. Also the context of a client of which nothing
/// else is to be known.
#[derive(Debug, Clone, Default)]
pub struct KnownBrokers(Arc<AtomicU32>);

/// No broker was ever known.
const NEVER: u32 = 0;

/// One is known; above that, by how much, so often in a row none was.
const KNOWN: u32 = 1;

impl KnownBrokers {
    /// Takes the statistics of the client. Those it was told to begin with have no number: of them it does not know yet whether they
    /// are brokers.
    pub fn take(&self, statistics: &Statistics) {
        let knows = statistics.brokers.values().any(|one| one.nodeid >= 0);
        let before = self.0.load(Ordering::Relaxed);
        let now = match (knows, before) {
            (true, _) => KNOWN,
            (false, NEVER) => NEVER,
            (false, known) => known.saturating_add(1),
        };
        self.0.store(now, Ordering::Relaxed);
    }

    /// There is no other client now: this one counts as lost again after as many further statistics.
    pub fn wait_again(&self) {
        self.0.store(KNOWN, Ordering::Relaxed);
    }

    /// Whether the client must be replaced.
    pub fn are_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= KNOWN + LOST
    }
}

/// Statistics in a row, 20 s, by which a partition is not fetched although a broker is reached. A transaction of somebody who died may
/// keep a group's offset back for 5 s.
const NOT_BEGUN: u32 = 4;

/// Whether a consumer fetches from all of its partitions. It begins when the group's offset is told, and librdkafka may wait for that for
/// ever: it does not ask again after an answer that named no partition (its issue 5586, open; 2.12.1), and a broker that has forgotten the
/// end of a transaction never tells it (docs/failure-modes.md).
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    misses: u32,
    begun: bool,
}

impl Fetching {
    /// Takes the statistics of a consumer that has these partitions, by the names of their topics.
    pub(crate) fn take<'n>(
        &mut self,
        statistics: &Statistics,
        partitions: impl IntoIterator<Item = (&'n str, i32)>,
    ) {
        let mut partitions = partitions.into_iter().peekable();
        let mut brokers = statistics.brokers.values();
        let reached = brokers.any(|one| one.nodeid >= 0 && one.state == "UP");
        if partitions.peek().is_none() || !reached {
            self.misses = 0;
            return;
        }
        self.begun = partitions.all(|(topic, number)| {
            let topic = statistics.topics.get(topic);
            let partition = topic.and_then(|topic| topic.partitions.get(&number));
            partition.is_some_and(|found| found.fetch_state != "none")
        });
        self.misses = if self.begun { 0 } else { self.misses + 1 };
    }

    /// Whether it fetched from all of them lately.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether it should have begun long ago.
    pub(crate) fn is_stuck(&self) -> bool {
        self.misses >= NOT_BEGUN
    }
}

/// Closes a consumer that will not work again, on a thread of its own: closing may wait for answers that never come (librdkafka #3740).
/// It is polled as long as somebody else still holds it, as a commit does that is not answered: what librdkafka has to tell would pile
/// up otherwise. Without a thread to be had it is closed here all the same.
pub(crate) fn close_aside<C: ConsumerContext + 'static>(old: Arc<BaseConsumer<C>>) {
    let closing = std::thread::Builder::new().name("closing".to_owned());
    let _ = closing.spawn(move || {
        old.unsubscribe();
        while Arc::strong_count(&old) > 1 {
            let _ = old.poll(Duration::from_millis(500));
        }
    });
}

impl ClientContext for KnownBrokers {
    fn stats(&self, statistics: Statistics) {
        self.take(&statistics);
    }
}

impl ConsumerContext for KnownBrokers {}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use rdkafka::statistics::{Broker, Partition, Topic};

    use super::*;

    /// Of a client that knows these brokers.
    pub(crate) fn statistics(nodes: &[i32]) -> Statistics {
        let broker = |node: &i32| {
            let broker = Broker {
                nodeid: *node,
                ..Broker::default()
            };
            (node.to_string(), broker)
        };
        Statistics {
            brokers: nodes.iter().map(broker).collect(),
            ..Statistics::default()
        }
    }

    #[test]
    fn a_consumer_is_stuck_that_is_not_told_where_to_begin_for_20_seconds_with_a_broker_there() {
        let told = |state: &str, fetches: [&str; 2]| {
            let partitions = (0..).zip(fetches).map(|(number, fetch)| {
                let partition = Partition {
                    fetch_state: fetch.to_owned(),
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
                state: state.to_owned(),
                ..Broker::default()
            };
            Statistics {
                brokers: HashMap::from([("1".to_owned(), broker)]),
                topics: HashMap::from([("orders".to_owned(), topic)]),
                ..Statistics::default()
            }
        };
        let ours = [("orders", 0), ("orders", 1)];
        let after = |all: &[(&str, [&str; 2])]| {
            let mut fetching = Fetching::default();
            for (state, fetches) in all {
                fetching.take(&told(state, *fetches), ours);
            }
            (fetching.has_begun(), fetching.is_stuck())
        };
        let (waits, fetches) = (("UP", ["active", "none"]), ("UP", ["active", "active"]));
        let alone = ("TRY_CONNECT", ["active", "none"]);
        assert_eq!(after(&[waits; 3]), (false, false));
        assert_eq!(after(&[waits; 4]), (false, true));
        assert_eq!(
            after(&[waits, waits, fetches, waits, waits]),
            (false, false)
        );
        assert_eq!(after(&[waits, waits, waits, alone, waits]), (false, false));
        assert_eq!(after(&[waits, waits, waits, waits, fetches]), (true, false));
        let mut fetching = Fetching::default();
        for _ in 0..9 {
            fetching.take(&told("UP", ["none", "none"]), []);
        }
        assert!(!fetching.is_stuck(), "it has no partition to begin with");
    }

    #[test]
    fn a_client_is_lost_when_it_has_known_a_broker_and_knows_none_twice_in_a_row() {
        let brokers = KnownBrokers::default();
        for (nodes, lost) in [
            (&[-1][..], false),
            (&[-1], false),
            (&[-1], false),
            (&[-1, 1], false),
            (&[-1], false),
            (&[-1, 1], false),
            (&[-1], false),
            (&[], true),
            (&[-1], true),
        ] {
            brokers.take(&statistics(nodes));
            assert_eq!(brokers.are_lost(), lost, "{nodes:?}");
        }
    }
}
