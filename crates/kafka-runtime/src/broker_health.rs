//! Whether a Kafka client reaches a broker. If it does not, readiness says why and what to do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::Registry;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Broker, Statistics};
use service_kit::readiness::Component;

use crate::client_log;
use crate::metrics::client_metrics::{ClientKind, ClientMetrics};

/// The context of a Kafka client. It reports to readiness whether a broker can be reached, passes librdkafka's log on to
/// `tracing`, and takes the client's statistics. Clones report to the same component.
#[derive(Clone)]
pub struct BrokerHealth {
    component: Component,
    criticality: Criticality,
    unreachable: Arc<AtomicBool>,
    /// Why a broker could not be reached, the last time.
    last_reason: Arc<Mutex<String>>,
    /// How often a connection to a broker has failed.
    failures: Arc<AtomicU64>,
    metrics: Option<ClientMetrics>,
}

/// What a service is worth without Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criticality {
    /// It is not ready.
    Required,
    /// It is ready, but degraded.
    Optional,
}

impl Criticality {
    /// Reports a problem: the component is down or degraded.
    pub(crate) fn report(self, component: &Component, reason: &str) {
        match self {
            Self::Required => component.down(reason),
            Self::Optional => component.degraded(reason),
        }
    }
}

impl BrokerHealth {
    /// The health of a client, shown as this component of readiness. It is down or degraded until a broker answers.
    pub fn new(component: Component, criticality: Criticality) -> Self {
        criticality.report(&component, "no broker was reached yet");
        Self {
            component,
            criticality,
            unreachable: Arc::new(AtomicBool::new(true)),
            last_reason: Arc::default(),
            failures: Arc::default(),
            metrics: None,
        }
    }

    /// The same with metrics of the client's requests, bytes and batches (`kafka_client_*`). A client that replaces another
    /// goes on with the same counters.
    ///
    /// # Errors
    /// The registry has metrics of a client of this kind already.
    pub fn with_metrics(
        self,
        registry: &Registry,
        kind: ClientKind,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Some(ClientMetrics::new(registry, kind)?);
        Ok(Self { metrics, ..self })
    }

    /// A broker answered.
    pub fn reached(&self) {
        if self.unreachable.load(Ordering::Relaxed) {
            self.unreachable.store(false, Ordering::Relaxed);
            self.component.ready();
        }
    }

    /// Whether a broker has answered since the last one was lost.
    pub fn is_reached(&self) -> bool {
        !self.unreachable.load(Ordering::Relaxed)
    }

    /// How often a connection to a broker has failed or was lost.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Why no broker can be reached. `None` while one can.
    pub(crate) fn unreachable_reason(&self) -> Option<String> {
        let unreachable = self.unreachable.load(Ordering::Relaxed);
        unreachable.then(|| self.reason().clone())
    }

    fn reason(&self) -> MutexGuard<'_, String> {
        self.last_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A broker could not be reached. While another one may still be reached, the reason is only kept for later.
    fn failed(&self, reason: &str) {
        let reason = format!("{reason}{}", address_advice(reason));
        if self.unreachable.load(Ordering::Relaxed) {
            self.lost(&reason);
        }
        *self.reason() = reason;
    }

    /// No broker can be reached. librdkafka now gives only their number, so the reason of the last one is reported.
    fn all_failed(&self, reason: &str) {
        let why = self.reason().clone();
        self.lost(if why.is_empty() { reason } else { &why });
    }

    /// No broker can be reached, for this reason.
    pub fn lost(&self, reason: &str) {
        self.unreachable.store(true, Ordering::Relaxed);
        self.criticality.report(&self.component, reason);
    }
}

impl ClientContext for BrokerHealth {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_log::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client_log::error(&error, reason);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Resolve) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.unreachable.store(true, Ordering::Relaxed);
                self.failed(reason);
            }
            Some(RDKafkaErrorCode::BrokerTransportFailure) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.failed(reason);
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.all_failed(reason);
            }
            _ => {}
        }
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(metrics) = &self.metrics {
            metrics.update(&statistics);
        }
        if has_connection(&statistics) {
            self.reached();
        }
    }
}

/// Whether the client is connected to a broker of the cluster.
///
/// librdkafka connects to such a broker only when it needs it (`enable.sparse.connections`). A producer that has nothing to send
/// has only the connection to an address of `bootstrap.servers`, by which it knows the brokers. That is enough as long as it has
/// asked for no other. A consumer asks for its coordinator, so it needs that broker.
fn has_connection(statistics: &Statistics) -> bool {
    let is_up = |broker: &&Broker| broker.state == "UP";
    let (bootstrap, others): (Vec<&Broker>, Vec<&Broker>) = statistics
        .brokers
        .values()
        .partition(|broker| broker.source == "configured");
    let is_unused = |broker: &&Broker| broker.source == "learned" && broker.state == "INIT";
    let is_idle = !others.is_empty() && others.iter().all(is_unused);
    let is_connected = others
        .iter()
        .any(|broker| is_up(broker) && broker.nodeid >= 0);
    is_connected || (is_idle && bootstrap.iter().any(is_up))
}

/// Advice about the broker's two addresses, each of which works on one side only: in Docker's network or on the host. The
/// client does not know on which side it is, so the text serves both.
fn address_advice(reason: &str) -> &'static str {
    if reason.contains("Failed to resolve 'kafka:29092'") {
        "; kafka:29092 is the broker's address inside Docker's network, while its container runs: from the host use localhost:9092 (KAFKA_BOOTSTRAP_SERVERS)"
    } else if reason.contains("Connection refused") && reason.contains("ipv4#127.") {
        "; no broker runs on this host; or this is a container, where localhost is the container itself: there use kafka:29092 (KAFKA_BOOTSTRAP_SERVERS)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use clap::Parser;
    use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
    use service_kit::Readiness;
    use shared_events::Service;
    use test_stack::eventually;

    use super::*;
    use crate::client::{consumer_config, create};
    use crate::settings::{ConsumerSettings, ConsumerTuning, KafkaSettings};

    impl ConsumerContext for BrokerHealth {}

    const SOON: Duration = Duration::from_secs(10);

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        kafka: KafkaSettings,
        #[command(flatten)]
        consumer: ConsumerSettings,
    }

    /// The readiness report of a consumer with this broker address, once the report contains the words.
    async fn report_of(address: &str, words: &str) -> String {
        let arguments = ["test", "--bootstrap-servers", address];
        let Settings { kafka, consumer } = Settings::try_parse_from(arguments).unwrap();
        let readiness = Readiness::new("test");
        let health = BrokerHealth::new(readiness.component("kafka"), Criticality::Required);
        let tuning = ConsumerTuning::default();
        let config = consumer_config(Service::Payment, &kafka, &consumer, &tuning);
        let consumer: BaseConsumer<BrokerHealth> = create(&config, health).unwrap();
        consumer.subscribe(&["orders"]).unwrap();
        eventually(SOON, words, async || {
            // librdkafka delivers errors with polls.
            let _ = consumer.poll(Duration::from_millis(20));
            let report = readiness.to_string();
            match report.contains(words) {
                true => Ok(report),
                false => Err(report),
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_refused_loopback_address_is_explained_for_both_sides() {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        for host in ["127.0.0.1", "localhost"] {
            let report = report_of(&format!("{host}:{port}"), "localhost is the container").await;
            for part in ["kafka:29092", "on this host", "refused", "KAFKA_BOOTSTRAP"] {
                assert!(report.contains(part), "{part}: {report}");
            }
        }
    }

    #[tokio::test]
    async fn the_reason_survives_when_all_brokers_are_down() {
        let readiness = Readiness::new("test");
        let health = BrokerHealth::new(readiness.component("kafka"), Criticality::Required);
        health.reached();
        health.failed("127.0.0.1:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused");
        assert!(readiness.is_ready(), "another broker may be up");
        health.all_failed("1/1 brokers are down");
        let report = readiness.to_string();
        assert!(report.contains("Connection refused"), "{report}");
    }

    #[test]
    fn a_producer_without_work_is_connected_by_its_bootstrap_address() {
        let connected = |brokers: &[(&str, i32, &str)]| {
            let broker = |(source, nodeid, state): &(&str, i32, &str)| Broker {
                source: (*source).to_owned(),
                nodeid: *nodeid,
                state: (*state).to_owned(),
                ..Broker::default()
            };
            let named = brokers.iter().map(|one| (one.0.to_owned(), broker(one)));
            has_connection(&Statistics {
                brokers: named.collect(),
                ..Statistics::default()
            })
        };
        let up = ("configured", -1, "UP");
        assert!(connected(&[up, ("learned", 1, "INIT")]));
        assert!(connected(&[("learned", 1, "UP")]));
        assert!(!connected(&[up]), "it knows no broker yet");
        assert!(!connected(&[up, ("learned", 1, "TRY_CONNECT")]));
        assert!(!connected(&[
            ("configured", -1, "TRY_CONNECT"),
            ("learned", 1, "INIT")
        ]));
        let coordinator = ("logical", -1, "TRY_CONNECT");
        assert!(!connected(&[up, ("learned", 1, "INIT"), coordinator]));
    }

    #[test]
    fn the_address_in_dockers_network_is_explained_to_the_host() {
        let advice = address_advice("kafka:29092/bootstrap: Failed to resolve 'kafka:29092'");
        assert!(advice.contains("from the host use localhost:9092"));
        // The name is known there, and the broker is down.
        assert_eq!(address_advice("kafka:29092/1: Connection refused"), "");
        assert_eq!(address_advice("10.0.0.1:9092: Connection refused"), "");
    }
}
