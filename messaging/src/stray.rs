//! Clients that have lost every broker for good.
//!
//! librdkafka forgets its brokers when a metadata answer names none, and then asks nobody ever again (its issue 5301, open; 2.12.1).
//! A broker that is alone gives such an answer in the moment in which it comes back: of nine consumers whose broker was frozen for
//! 25 s, one was left without. Nothing but another client helps. The statistics come with polls, so a client that nobody polls is not found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::statistics::Statistics;

/// Statistics in a row, one every `statistics.interval.ms`, by which a client that has known a broker knows none. A broker that is
/// merely away stays known.
const LOST: u32 = 2;

/// What a client's statistics say of the brokers it knows. Clones are of one client. Also the context of a client of which nothing
/// else is to be known.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownBrokers(Arc<AtomicU32>);

/// No broker was ever known.
const NEVER: u32 = 0;

/// One is known; above that, by how much, so often in a row none was.
const KNOWN: u32 = 1;

impl KnownBrokers {
    /// Takes the statistics of the client. Those it was told to begin with have no number: of them it does not know yet whether they
    /// are brokers.
    pub(crate) fn take(&self, statistics: &Statistics) {
        let knows = statistics.brokers.values().any(|one| one.nodeid >= 0);
        let before = self.0.load(Ordering::Relaxed);
        let now = match (knows, before) {
            (true, _) => KNOWN,
            (false, NEVER) => NEVER,
            (false, known) => known.saturating_add(1),
        };
        self.0.store(now, Ordering::Relaxed);
    }

    /// Whether the client must be replaced.
    pub(crate) fn are_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= KNOWN + LOST
    }
}

impl ClientContext for KnownBrokers {
    fn stats(&self, statistics: Statistics) {
        self.take(&statistics);
    }
}

impl ConsumerContext for KnownBrokers {}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    fn statistics(nodes: &[i32]) -> Statistics {
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
