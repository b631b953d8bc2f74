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
    /// Records wait, because the brokers do not acknowledge them. Then a connection alone does not make the client ready.
    undelivered: Arc<AtomicBool>,
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
            undelivered: Arc::default(),
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
        if self.unreachable.swap(false, Ordering::Relaxed) {
            // The next outage may have another reason.
            self.reason().clear();
            if !self.undelivered.load(Ordering::Relaxed) {
                self.component.ready();
            }
        }
    }

    /// The brokers did not acknowledge a record, for this reason. Lasts until [`BrokerHealth::delivered`].
    pub(crate) fn not_delivered(&self, reason: &str) {
        self.undelivered.store(true, Ordering::Relaxed);
        self.criticality.report(&self.component, reason);
    }

    /// No record waits any more.
    pub(crate) fn delivered(&self) {
        if self.undelivered.swap(false, Ordering::Relaxed) && self.is_reached() {
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
        reason.clone_into(&mut self.reason());
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
mod tests;
