//! The relay of a process: its start, its stop, and when it runs.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use service_kit::readiness::Readiness;
use service_kit::trace::Tracer;
use shared_events::Service;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::relay_session::{Drained, PAGE, RelayDrain, RelayMetrics, close};
use crate::client::{BrokerHealth, ClientKind, Criticality};
use crate::faults::Faults;
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
    stop: CancellationToken,
    task: JoinHandle<()>,
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
        let relay_loop = RelayLoop {
            drain: RelayDrain {
                settings,
                metrics,
                health: BrokerHealth::new(readiness.component("relay"), Criticality::Optional)
                    .with_metrics(registry, ClientKind::Relay)?,
            },
            wake: Arc::clone(&waker.0),
        };
        let stopped = stop.clone();
        #[allow(
            clippy::disallowed_methods,
            reason = "the handle is kept, and stop() awaits it"
        )]
        let task = tokio::spawn(async move { relay_loop.run(stopped).await });
        Ok(Self { waker, stop, task })
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
            Ok(Err(error)) => tracing::error!(%error, "the relay panicked"),
            Err(_) => tracing::warn!("relay stop timed out, the next relay publishes the rest"),
        }
    }
}

struct RelayLoop {
    drain: RelayDrain,
    wake: Arc<Notify>,
}

impl RelayLoop {
    async fn run(self, stop: CancellationToken) {
        let mut session = None;
        while !stop.is_cancelled() {
            let sleep = match self.drain.drain_once(&mut session).await {
                Ok(Drained::Published(rows)) if rows as i64 == PAGE => Duration::ZERO,
                Ok(Drained::Published(_) | Drained::NotLeader) => TICK,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, ?cause, "relay failed, will reconnect");
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
}
