//! Issue 5301: a client that has lost every broker for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use crate::client_log;

/// Statistics in a row without a broker after which a client counts as lost: 10 s. A broker that is only down stays in the
/// statistics.
const LOST: u32 = 2;

/// No broker was ever known.
const NEVER: u32 = 0;

/// A broker is known. A larger number counts the statistics in a row that had none.
const KNOWN: u32 = 1;

/// Whether a client has lost every broker for good, decided by its statistics. Such a client must be replaced.
///
/// Statistics arrive with polls, so a client that is not polled is not found out. Clones belong to the same client. The type
/// is also the context of a client from which nothing else is needed.
#[derive(Debug, Clone, Default)]
pub struct KnownBrokers(Arc<AtomicU32>);

impl KnownBrokers {
    /// Takes the statistics of the client, one document every `statistics.interval.ms`.
    ///
    /// The addresses of `bootstrap.servers` have no node id and do not count: librdkafka keeps them in any case.
    pub fn update(&self, statistics: &Statistics) {
        let knows = statistics.brokers.values().any(|one| one.nodeid >= 0);
        let before = self.0.load(Ordering::Relaxed);
        let now = match (knows, before) {
            (true, _) => KNOWN,
            (false, NEVER) => NEVER,
            (false, known) => known.saturating_add(1),
        };
        self.0.store(now, Ordering::Relaxed);
    }

    /// Counts from the beginning. For a client that could not be replaced: it counts as lost again after two more documents.
    pub fn reset(&self) {
        self.0.store(KNOWN, Ordering::Relaxed);
    }

    /// Whether the client must be replaced.
    pub fn are_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= KNOWN + LOST
    }
}

impl ClientContext for KnownBrokers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_log::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client_log::error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.update(&statistics);
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
    fn a_client_is_lost_after_two_statistics_without_a_broker() {
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
            brokers.update(&statistics(nodes));
            assert_eq!(brokers.are_lost(), lost, "{nodes:?}");
        }
    }
}
