//! Whether a Kafka client reaches a broker, and if not, why not and what to do: told to readiness.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use service_kit::readiness::Component;

use crate::metrics::client::{ClientMetrics, Counted};

/// What a Kafka client says about itself: its log goes to ours, and whether a broker can be reached goes to readiness.
#[derive(Clone)]
pub struct Connection {
    kafka: Component,
    need: Need,
    away: Arc<AtomicBool>,
    /// Why a broker could not be reached, last.
    why: Arc<Mutex<String>>,
    figures: Option<ClientMetrics>,
}

/// What a service is without Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is not ready.
    Required,
    /// Of use all the same: it is ready, but degraded.
    Optional,
}

impl Need {
    /// Says in the component that something is missing.
    pub(crate) fn report(self, component: &Component, reason: &str) {
        match self {
            Self::Required => component.down(reason),
            Self::Optional => component.degraded(reason),
        }
    }
}

impl Connection {
    /// A client whose reachability is shown as this component.
    pub fn new(kafka: Component, need: Need) -> Self {
        need.report(&kafka, "no broker was reached yet");
        Self {
            kafka,
            need,
            away: Arc::new(AtomicBool::new(true)),
            why: Arc::default(),
            figures: None,
        }
    }

    /// The same, of a client whose requests, bytes and batches are counted. One of a kind in a registry at a time: who takes its
    /// place is counted on. Fails if the registry has one already.
    pub fn counted(self, registry: &Registry, client: Counted) -> Result<Self, prometheus::Error> {
        let figures = Some(ClientMetrics::new(registry, client)?);
        Ok(Self { figures, ..self })
    }

    /// A broker answered.
    pub fn reached(&self) {
        if self.away.load(Ordering::Relaxed) {
            self.away.store(false, Ordering::Relaxed);
            self.kafka.ready();
        }
    }

    /// Whether a broker answered, and none was lost since.
    pub fn is_reached(&self) -> bool {
        !self.away.load(Ordering::Relaxed)
    }

    /// A broker could not be reached: the reason, with advice. While others may still be there, it is only kept.
    fn failed(&self, reason: &str) {
        let reason = format!("{reason}{}", address_advice(reason));
        if self.away.load(Ordering::Relaxed) {
            self.lost(&reason);
        }
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// No broker is left. librdkafka then says how many there were; why is what it said of the last one.
    fn all_failed(&self, reason: &str) {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        self.lost(if why.is_empty() { reason } else { &why });
    }

    /// No broker can be reached, and why.
    pub fn lost(&self, reason: &str) {
        self.away.store(true, Ordering::Relaxed);
        self.need.report(&self.kafka, reason);
    }
}

impl ClientContext for Connection {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats a refused connection for each try: an outage is said once, by readiness.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::trace!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Resolve) => {
                self.away.store(true, Ordering::Relaxed);
                self.failed(reason);
            }
            Some(RDKafkaErrorCode::BrokerTransportFailure) => self.failed(reason),
            Some(RDKafkaErrorCode::AllBrokersDown) => self.all_failed(reason),
            _ => tracing::debug!(target: "librdkafka", %error, reason),
        }
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(figures) = &self.figures {
            figures.take(&statistics);
        }
        if statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP" && broker.nodeid >= 0)
        {
            self.reached();
        }
    }
}

/// The mistake everybody makes once: each of the broker's two addresses works on one side only. Worded for both sides, since a
/// client does not know on which one it is.
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

    impl ConsumerContext for Connection {}

    /// As soon as a person who has started a service with a wrong address wants to know.
    const SOON: Duration = Duration::from_secs(10);

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        kafka: KafkaSettings,
        #[command(flatten)]
        consumer: ConsumerSettings,
    }

    /// What a consumer with this broker address says about it, once that holds the words.
    async fn said(address: &str, words: &str) -> String {
        let arguments = ["test", "--bootstrap-servers", address];
        let Settings { kafka, consumer } = Settings::try_parse_from(arguments).unwrap();
        let readiness = Readiness::new("test");
        let connection = Connection::new(readiness.component("kafka"), Need::Required);
        let tuning = ConsumerTuning::default();
        let config = consumer_config(Service::Payment, &kafka, &consumer, &tuning);
        let consumer: BaseConsumer<Connection> = create(&config, connection).unwrap();
        consumer.subscribe(&["orders"]).unwrap();
        eventually(SOON, words, async || {
            // Errors are told to whoever polls.
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
    async fn a_refused_loopback_address_is_explained_for_host_and_container() {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        for host in ["127.0.0.1", "localhost"] {
            let report = said(&format!("{host}:{port}"), "localhost is the container").await;
            for part in ["kafka:29092", "on this host", "refused", "KAFKA_BOOTSTRAP"] {
                assert!(report.contains(part), "{part}: {report}");
            }
        }
    }

    #[tokio::test]
    async fn that_all_brokers_are_down_does_not_hide_why() {
        let readiness = Readiness::new("test");
        let connection = Connection::new(readiness.component("kafka"), Need::Required);
        connection.reached();
        connection.failed("127.0.0.1:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused");
        assert!(readiness.is_ready(), "others may still be there");
        connection.all_failed("1/1 brokers are down");
        let report = readiness.to_string();
        assert!(report.contains("Connection refused"), "{report}");
    }

    #[test]
    fn the_address_inside_dockers_network_is_explained_to_the_host() {
        let advice = address_advice("kafka:29092/bootstrap: Failed to resolve 'kafka:29092'");
        assert!(advice.contains("from the host use localhost:9092"));
        // There the name is known, and the broker is not up.
        assert_eq!(address_advice("kafka:29092/1: Connection refused"), "");
        assert_eq!(address_advice("10.0.0.1:9092: Connection refused"), "");
    }
}
