//! Metrics from librdkafka's statistics (`STATISTICS.md`): requests, bytes and batches of one client.
//!
//! librdkafka makes one document every `statistics.interval.ms`. The metrics add no document: [`crate::broker_health`] needs
//! them in any case.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Error, IntCounter, Opts, Registry};
use rdkafka::statistics::Statistics;

use super::window_quantiles::WindowQuantiles;

/// How often librdkafka makes its statistics. Broker health, these metrics and the replacement of broken clients depend on it.
pub(crate) const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);

/// Which client of a process: the label `client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// The consumer of a member.
    Consumer,
    /// The producer of a member or of a load generator.
    Producer,
    /// The producer of the outbox relay.
    Relay,
}

impl ClientKind {
    fn label(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::Relay => "relay",
        }
    }
}

/// The metrics of a client and of the clients that replace it. Clones share the same series.
#[derive(Clone)]
pub(crate) struct ClientMetrics {
    totals: Arc<Mutex<Totals>>,
    request_seconds: WindowQuantiles,
    /// Only of producers. A consumer's statistics have the batches that others produced.
    batches: Option<Batches>,
}

#[derive(Clone)]
struct Batches {
    records: WindowQuantiles,
    bytes: WindowQuantiles,
}

impl ClientMetrics {
    /// Registers the metrics. Fails if the registry has a client of this kind already.
    pub(crate) fn new(registry: &Registry, kind: ClientKind) -> Result<Self, Error> {
        let opts = |name, help| Opts::new(name, help).const_label("client", kind.label());
        let counter = |name, help| {
            let counter = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let quantiles =
            |name, help, unit| WindowQuantiles::register(registry, opts(name, help), unit);
        let sent_bytes = counter("kafka_client_sent_bytes_total", "Bytes sent to brokers.")?;
        let received_bytes = counter(
            "kafka_client_received_bytes_total",
            "Bytes received from brokers.",
        )?;
        let sent_requests = counter(
            "kafka_client_sent_requests_total",
            "Requests sent to brokers.",
        )?;
        let received_records = counter(
            "kafka_client_received_records_total",
            "Records received from brokers, also those that the client drops when their partition is revoked.",
        )?;
        let batches = || {
            Ok::<_, Error>(Batches {
                records: quantiles(
                    "kafka_producer_batch_records",
                    "Records of a batch sent, over the last 5 s.",
                    1.0,
                )?,
                bytes: quantiles(
                    "kafka_producer_batch_bytes",
                    "Bytes of a batch sent, over the last 5 s.",
                    1.0,
                )?,
            })
        };
        Ok(Self {
            totals: Arc::new(Mutex::new(Totals {
                client: String::new(),
                counters: [sent_bytes, received_bytes, sent_requests, received_records]
                    .map(|counter| (counter, 0)),
            })),
            // librdkafka counts microseconds, and its histogram ends at half a second (`rkb_avg_rtt`).
            request_seconds: quantiles(
                "kafka_client_request_seconds",
                "Round trips of requests to brokers over the last 5 s, up to 0.5 s; a fetch waits at the broker for data.",
                1e-6,
            )?,
            batches: match kind {
                ClientKind::Consumer => None,
                ClientKind::Producer | ClientKind::Relay => Some(batches()?),
            },
        })
    }

    /// Takes one document.
    pub(crate) fn update(&self, statistics: &Statistics) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let now = [
            statistics.tx_bytes,
            statistics.rx_bytes,
            statistics.tx,
            statistics.rxmsgs,
        ];
        totals.grow(&statistics.name, now);
        // Connections to a broker's logical role ("GroupCoordinator") carry heartbeats and commits, not records.
        let brokers = statistics.brokers.values();
        let brokers = brokers.filter(|broker| broker.nodeid >= 0 && broker.source != "logical");
        self.request_seconds
            .update(brokers.filter_map(|broker| broker.rtt.as_ref()));
        if let Some(Batches { records, bytes }) = &self.batches {
            let topics = statistics.topics.values();
            records.update(topics.clone().map(|topic| &topic.batchcnt));
            bytes.update(topics.map(|topic| &topic.batchsize));
        }
    }
}

/// The counters, each with its last value in the statistics.
///
/// A replacing client begins at 0, and its first document holds all it has done. What the replaced client did after its own
/// last document, within 5 s at most, is not counted.
struct Totals {
    client: String,
    counters: [(IntCounter, u64); 4],
}

impl Totals {
    fn grow(&mut self, client: &str, now: [i64; 4]) {
        if self.client != client {
            client.clone_into(&mut self.client);
            self.counters.iter_mut().for_each(|(_, last)| *last = 0);
        }
        for ((counter, last), now) in self.counters.iter_mut().zip(now) {
            let now = u64::try_from(now).unwrap_or(0);
            // A smaller value than the last: a broker was removed, and with it what was sent to it.
            counter.inc_by(now.saturating_sub(*last));
            *last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use prometheus::TextEncoder;
    use rdkafka::statistics::{Broker, Topic, Window};

    use super::*;

    fn window(cnt: i64, p50: i64) -> Window {
        Window {
            cnt,
            p50,
            p95: 2 * p50,
            p99: 3 * p50,
            ..Window::default()
        }
    }

    fn broker(nodeid: i32, source: &str, rtt: Window) -> (String, Broker) {
        let broker = Broker {
            nodeid,
            source: source.to_owned(),
            rtt: Some(rtt),
            ..Broker::default()
        };
        (format!("{source}/{nodeid}"), broker)
    }

    fn document(client: &str, bytes: i64, rtt: Window, batch: Window) -> Statistics {
        let topic = Topic {
            batchcnt: batch.clone(),
            batchsize: batch,
            ..Topic::default()
        };
        Statistics {
            name: client.to_owned(),
            tx: bytes / 100,
            tx_bytes: bytes,
            rx_bytes: bytes / 10,
            rxmsgs: bytes / 50,
            brokers: HashMap::from([
                broker(1, "learned", rtt),
                broker(1, "logical", window(1_000_000, 400_000)),
                broker(-1, "configured", window(1_000_000, 400_000)),
            ]),
            topics: HashMap::from([("orders".to_owned(), topic)]),
            ..Statistics::default()
        }
    }

    fn exposition(registry: &Registry) -> String {
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    }

    #[track_caller]
    fn assert_exposed(registry: &Registry, lines: &[&str]) {
        let text = exposition(registry);
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line}: {text}");
        }
    }

    #[test]
    fn statistics_are_exposed_in_seconds_records_and_bytes() {
        let registry = Registry::new();
        let metrics = ClientMetrics::new(&registry, ClientKind::Producer).unwrap();
        metrics.update(&document("p-1", 5_000, window(10, 2_000), window(4, 7)));
        assert_exposed(
            &registry,
            &[
                r#"kafka_client_request_seconds{client="producer",quantile="0.5"} 0.002"#,
                r#"kafka_client_request_seconds{client="producer",quantile="0.95"} 0.004"#,
                r#"kafka_client_request_seconds{client="producer",quantile="0.99"} 0.006"#,
                r#"kafka_producer_batch_records{client="producer",quantile="0.5"} 7"#,
                r#"kafka_producer_batch_bytes{client="producer",quantile="0.99"} 21"#,
                r#"kafka_client_sent_bytes_total{client="producer"} 5000"#,
                r#"kafka_client_received_bytes_total{client="producer"} 500"#,
                r#"kafka_client_sent_requests_total{client="producer"} 50"#,
                r#"kafka_client_received_records_total{client="producer"} 100"#,
            ],
        );
    }

    #[test]
    fn a_quantile_without_measurements_is_absent() {
        let registry = Registry::new();
        let metrics = ClientMetrics::new(&registry, ClientKind::Consumer).unwrap();
        assert!(!exposition(&registry).contains("quantile"));
        metrics.update(&document("c-1", 0, window(10, 2_000), window(5, 7)));
        let text = exposition(&registry);
        assert!(text.contains("kafka_client_request_seconds{"), "{text}");
        assert!(
            !text.contains("kafka_producer_batch"),
            "batches of others: {text}"
        );
    }

    #[test]
    fn documents_of_the_same_five_seconds_are_weighted_by_count() {
        let registry = Registry::new();
        let metrics = ClientMetrics::new(&registry, ClientKind::Producer).unwrap();
        metrics.update(&document("p-1", 0, window(30, 1_000), window(1, 1)));
        metrics.update(&document("p-1", 0, window(10, 5_000), window(0, 0)));
        let mean = r#"kafka_client_request_seconds{client="producer",quantile="0.5"} 0.002"#;
        assert_exposed(&registry, &[mean]);
    }

    #[test]
    fn a_replacing_producer_goes_on_with_the_counters() {
        let registry = Registry::new();
        let metrics = ClientMetrics::new(&registry, ClientKind::Producer).unwrap();
        let mut sent = 0;
        for (client, bytes, counted) in [
            ("p-1", 5_000, 5_000),
            ("p-1", 8_000, 8_000),
            ("p-2", 1_000, 9_000),
            // A broker was removed.
            ("p-2", 400, 9_000),
            ("p-2", 500, 9_100),
            // More at once than the replaced client had.
            ("p-3", 600, 9_700),
        ] {
            metrics.update(&document(client, bytes, window(0, 0), window(0, 0)));
            let now = metrics.totals.lock().unwrap().counters[0].0.get();
            assert_eq!(now, counted, "{client} {bytes}");
            assert!(now >= sent);
            sent = now;
        }
    }

    #[test]
    fn a_registry_takes_one_client_of_each_kind() {
        let registry = Registry::new();
        for client in [
            ClientKind::Consumer,
            ClientKind::Producer,
            ClientKind::Relay,
        ] {
            let metrics = ClientMetrics::new(&registry, client).unwrap();
            metrics.update(&document("one", 1_000, window(1, 1_000), window(0, 0)));
            assert!(ClientMetrics::new(&registry, client).is_err());
        }
        for client in ["consumer", "producer", "relay"] {
            let line = format!("kafka_client_sent_bytes_total{{client=\"{client}\"}} 1000");
            assert_exposed(&registry, &[&line]);
        }
    }
}
