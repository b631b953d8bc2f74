//! The relay of a process: its start, its stop, and when it runs.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use prometheus::Registry;
use rdkafka::error::KafkaError;
use service_kit::outage_log::OutageLog;
use service_kit::readiness::{Component, Readiness};
use service_kit::trace::Tracer;
use shared_events::Service;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Publisher;
use super::relay_session::{Drained, PAGE, RelayDrain, RelayError, RelayMetrics, close};
use crate::client::{BrokerHealth, ClientKind, Criticality};
use crate::error_chain::ErrorChain;
use crate::faults::Faults;
use crate::handler::panic_text;
use crate::settings::KafkaSettings;

/// How long a relay sleeps unless it is woken. Well below the 5 s after which PostgreSQL ends its session, so that only a frozen
/// relay loses the lock.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// How long a stopping relay may take, so that a service ends within its grace period (15 s, of which requests may take 10 s).
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// What a relay is started with.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// The service that owns the outbox.
    pub service: Service,
    /// The database with the table `outbox`.
    pub database: PgConnectOptions,
    /// The broker.
    pub kafka: KafkaSettings,
    /// Faults on purpose.
    pub faults: Faults,
    /// The recorder of spans.
    pub tracer: Tracer,
}

/// Wakes the relay after a commit. Clones wake the same relay.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Wakes the relay: rows were committed. Without this call the relay finds them within a second.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// The running relay of a process.
pub struct Relay {
    waker: Waker,
    service: Service,
    kafka: KafkaSettings,
    /// Without the metrics of the relay's client.
    health: BrokerHealth,
    stop: CancellationToken,
    task: JoinHandle<()>,
    panicked: Panicked,
}

/// The relay has panicked. It is a bug of this crate; the rows of the outbox wait for the next relay.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the relay of the outbox panicked: {0}")]
pub struct RelayPanicked(String);

/// Whether a task has panicked, and with what.
#[derive(Debug, Clone, Default)]
struct Panicked {
    text: Arc<OnceLock<String>>,
    noticed: CancellationToken,
}

impl Panicked {
    /// Runs a task until its end. After a panic the component is down at once, and [`Panicked::watch`] returns.
    async fn catch(self, task: impl Future<Output = ()>, component: Component) {
        let Err(panic) = AssertUnwindSafe(task).catch_unwind().await else {
            return;
        };
        let error = RelayPanicked(panic_text(&*panic));
        component.down(error.to_string());
        // It fails if the cell is full, and this is the only place that fills it.
        let _ = self.text.set(error.0);
        self.noticed.cancel();
    }

    async fn watch(&self, shutdown: &CancellationToken) -> Result<(), RelayPanicked> {
        tokio::select! {
            biased;
            () = self.noticed.cancelled() => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        shutdown.cancel();
        Err(RelayPanicked(self.text.get().cloned().unwrap_or_default()))
    }
}

impl Relay {
    /// Starts the relay of this process. It retries until database, table, broker and topics are there, in whatever order they
    /// come up. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The registry has the metrics of a relay already.
    pub fn start(
        settings: RelaySettings,
        readiness: &Readiness,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = RelayMetrics::new(registry)?;
        let waker = Waker(Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let component = readiness.component("relay");
        let health = BrokerHealth::new(component.clone(), Criticality::Optional);
        let (service, kafka) = (settings.service, settings.kafka.clone());
        let relay_loop = RelayLoop {
            drain: RelayDrain {
                settings,
                metrics,
                health: health.clone().with_metrics(registry, ClientKind::Relay)?,
            },
            wake: Arc::clone(&waker.0),
            outage: OutageLog::default(),
        };
        let (stopped, panicked) = (stop.clone(), Panicked::default());
        let run = panicked.clone().catch(relay_loop.run(stopped), component);
        #[allow(
            clippy::disallowed_methods,
            reason = "the handle is kept, and stop() awaits it"
        )]
        let task = tokio::spawn(run);
        Ok(Self {
            waker,
            service,
            kafka,
            health,
            stop,
            task,
            panicked,
        })
    }

    /// Waits until `shutdown`. A relay that ends by itself cancels `shutdown`, so that the service ends with it.
    ///
    /// # Errors
    /// See [`RelayPanicked`].
    pub async fn watch(&self, shutdown: CancellationToken) -> Result<(), RelayPanicked> {
        self.panicked.watch(&shutdown).await
    }

    /// A producer that publishes without this relay and its outbox. It shares the relay's component of readiness.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub fn publisher(&self) -> Result<Publisher, KafkaError> {
        Publisher::new(self.service, &self.kafka, self.health.clone())
    }

    /// The waker of this relay.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Finishes the current page and stops. After 3 s it abandons the page, since broker or database may not answer. The rows
    /// that are left are published by another instance, or after the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        match timeout(STOP_TIMEOUT, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the task of the relay failed"),
            Err(_) => tracing::warn!("relay stop timed out, the next relay publishes the rest"),
        }
    }
}

struct RelayLoop {
    drain: RelayDrain,
    wake: Arc<Notify>,
    outage: OutageLog,
}

impl RelayLoop {
    async fn run(mut self, stop: CancellationToken) {
        let mut session = None;
        while !stop.is_cancelled() {
            let drained = self.drain.drain_once(&mut session).await;
            self.log(&drained);
            let sleep = match drained {
                Ok(Drained::Published(rows)) if rows as i64 == PAGE => Duration::ZERO,
                Ok(Drained::Published(_) | Drained::NotLeader) => TICK,
                Err(_) => {
                    close(session.take()).await;
                    Duration::from_millis(500 + fastrand::u64(0..500))
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified(), if sleep == TICK => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        close(session).await;
    }

    /// Logs an outage once, and its end.
    fn log(&mut self, drained: &Result<Drained, RelayError>) {
        let error = match drained {
            Ok(drained) => {
                if let Some(outage) = self.outage.ended() {
                    let seconds = outage.as_secs_f64();
                    match drained {
                        Drained::Published(_) => {
                            tracing::info!(after.seconds = seconds, "relay works again")
                        }
                        Drained::NotLeader => tracing::info!(
                            after.seconds = seconds,
                            "relay is connected again, and another session has its lock"
                        ),
                    }
                }
                return;
            }
            Err(error) => error,
        };
        let cause = ErrorChain(error).to_string();
        if self.outage.failed(&cause) {
            tracing::warn!(cause, "relay failed, will reconnect");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_relay_that_panics_ends_its_service_and_is_not_ready() {
        let readiness = Readiness::new("test");
        let component = readiness.component("relay");
        component.ready();
        let (panicked, shutdown) = (Panicked::default(), CancellationToken::new());
        panicked
            .clone()
            .catch(async { panic!("on purpose") }, component)
            .await;
        let error = panicked.watch(&shutdown).await.unwrap_err();
        assert!(
            error.to_string().contains("panicked: on purpose"),
            "{error}"
        );
        assert!(shutdown.is_cancelled());
        let report = readiness.to_string();
        assert!(report.contains("panicked: on purpose"), "{report}");
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn a_relay_that_runs_is_watched_until_the_shutdown() {
        let (panicked, shutdown) = (Panicked::default(), CancellationToken::new());
        shutdown.cancel();
        assert!(panicked.watch(&shutdown).await.is_ok());
    }
}
