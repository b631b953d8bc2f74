//! The relay: from the outbox into Kafka.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, IntGauge, Registry};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer};
use service_kit::readiness::Readiness;
use service_kit::trace::Tracer;
use shared_events::Service;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _, PgConnection};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Row;
use crate::client::{self, Connection, Counted, Need};
use crate::faults::{CrashPoint, Faults, Protection};
use crate::member::spans::send_span;
use crate::send::delivered;
use crate::settings::KafkaSettings;

/// Rows published at a time: enough that a statement's cost does not matter, few enough that a repetition is short.
const PAGE: i64 = 1_000;

/// How long a relay sleeps when nobody wakes it. Well below [`SESSION_IDLE`], so that only a frozen one loses its lock.
const TICK: Duration = Duration::from_secs(1);

/// PostgreSQL ends the session, and with it the lock, after this much silence.
const SESSION_IDLE: &str = "5s";

/// How long one statement may take. The session has no time-outs of its own but the idle one.
const STATEMENT: Duration = Duration::from_secs(10);

/// How long a relay that stops may take, so that a service ends within its grace (15 s, of which requests may take 10).
const STOP: Duration = Duration::from_secs(3);

/// The key of the advisory lock: the ASCII of "outbox".
const LOCK: i64 = 0x6f75_7462_6f78;

/// What a relay is told at its start.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Whose outbox.
    pub service: Service,
    /// The database with the table `outbox`.
    pub database: PgConnectOptions,
    /// Which broker.
    pub kafka: KafkaSettings,
    /// What is broken on purpose.
    pub faults: Faults,
    /// Where spans go.
    pub tracer: Tracer,
}

/// Wakes the relay when there is something new. Clones wake the same one.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Rows were committed. Without it they are found within a second all the same.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// A running relay.
pub struct Relay {
    waker: Waker,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why a tick failed. The relay then forgets its connections and begins anew.
#[derive(Debug, thiserror::Error)]
enum TickError {
    #[error("the outbox could not be read or cleared")]
    Database(#[from] sqlx::Error),
    #[error("the outbox could not be published")]
    Kafka(#[from] KafkaError),
    #[error("PostgreSQL did not answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

/// What a tick did.
enum Ticked {
    /// Another instance leads.
    Follows,
    /// This many rows were published and deleted.
    Published(usize),
}

struct Metrics {
    published: IntCounter,
    leads: IntGauge,
}

impl Relay {
    /// Starts the relay of this process. It waits for database, table, broker and topics, in whatever order they come. Must be
    /// called inside a Tokio runtime.
    pub fn start(
        settings: RelaySettings,
        readiness: &Readiness,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let published = IntCounter::new(
            "outbox_published_total",
            "Rows of the outbox published and deleted.",
        )?;
        let leads = IntGauge::new(
            "outbox_relay_leads",
            "1 while this instance is the one that relays.",
        )?;
        registry.register(Box::new(published.clone()))?;
        registry.register(Box::new(leads.clone()))?;
        let waker = Waker(Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let run = Run {
            settings,
            metrics: Metrics { published, leads },
            connection: Connection::new(readiness.component("relay"), Need::Optional)
                .counted(registry, Counted::Relay)?,
            wake: Arc::clone(&waker.0),
        };
        let stopped = stop.clone();
        // The handle is kept: `stop` waits for it.
        #[allow(
            clippy::disallowed_methods,
            reason = "the handle is kept, and stop() awaits it"
        )]
        let task = tokio::spawn(async move { run.until(stopped).await });
        Ok(Self { waker, stop, task })
    }

    /// Wakes this relay.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Ends the tick under way and stops; gives it up after 3 s, since it may wait for broker or database. What is left in the outbox is
    /// published by another instance, or by the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        match timeout(STOP, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the relay ended badly"),
            Err(_) => tracing::warn!("the relay's last rows are left to the next one"),
        }
    }
}

struct Run {
    settings: RelaySettings,
    metrics: Metrics,
    connection: Connection,
    wake: Arc<Notify>,
}

/// One connection to each side. They live and die together: a relay that lost its session lost its lock, and a producer that
/// still held its rows could publish them behind the back of the next leader.
struct Session {
    database: PgConnection,
    producer: FutureProducer<Connection>,
    leads: bool,
}

impl Run {
    async fn until(self, stop: CancellationToken) {
        let mut session = None;
        while !stop.is_cancelled() {
            let sleep = match self.tick(&mut session).await {
                Ok(Ticked::Published(rows)) if rows as i64 == PAGE => Duration::ZERO,
                Ok(Ticked::Published(_) | Ticked::Follows) => TICK,
                Err(error) => {
                    tracing::warn!(%error, cause = ?std::error::Error::source(&error).map(ToString::to_string), "the relay begins anew");
                    self.metrics.leads.set(0);
                    end(session.take()).await;
                    Duration::from_millis(500 + fastrand::u64(0..500))
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified(), if sleep == TICK => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        end(session).await;
    }

    async fn tick(&self, session: &mut Option<Session>) -> Result<Ticked, TickError> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.open().await?),
        };
        if !session.leads && self.settings.faults.keeps(Protection::SingleRelay) {
            let ask = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
            session.leads = timeout(STATEMENT, ask.fetch_one(&mut session.database)).await??;
            self.metrics.leads.set(i64::from(session.leads));
            if !session.leads {
                return Ok(Ticked::Follows);
            }
            tracing::info!("this instance relays now");
        }
        self.publish(session).await
    }

    async fn open(&self) -> Result<Session, TickError> {
        let options = self
            .settings
            .database
            .clone()
            .options([("idle_session_timeout", SESSION_IDLE)]);
        let database = timeout(STATEMENT, options.connect()).await??;
        let client_id = client::client_id(self.settings.service, &self.settings.kafka);
        // A millisecond of lingering packs what a tick publishes into few requests.
        let producer = client::idempotent_producer(
            &self.settings.kafka,
            &client_id,
            1,
            self.connection.clone(),
        )?;
        Ok(Session {
            database,
            producer,
            leads: false,
        })
    }

    /// Read, publish, delete. Separate statements with no transaction open meanwhile: the broker may take its time, and a
    /// transaction would hold PostgreSQL's clean-up back.
    async fn publish(&self, session: &mut Session) -> Result<Ticked, TickError> {
        let read = sqlx::query_as(
            "SELECT id, topic, key, headers, value FROM outbox ORDER BY id LIMIT $1",
        )
        .bind(PAGE);
        let rows: Vec<Row> = timeout(STATEMENT, read.fetch_all(&mut session.database)).await??;
        if rows.is_empty() {
            return Ok(Ticked::Published(0));
        }
        self.settings.faults.pass(CrashPoint::RelayBeforePublish);
        let (acknowledged, failure) = self.send_awake(session, &rows).await?;
        self.settings.faults.pass(CrashPoint::RelayAfterPublish);
        let delete = sqlx::query("DELETE FROM outbox WHERE id = ANY($1)").bind(&acknowledged);
        timeout(STATEMENT, delete.execute(&mut session.database)).await??;
        self.metrics.published.inc_by(acknowledged.len() as u64);
        match failure {
            Some(error) => Err(error.into()),
            None => {
                self.connection.reached();
                Ok(Ticked::Published(rows.len()))
            }
        }
    }

    /// [`Run::send`], with a word to PostgreSQL each second: it would end a session that waits for the broker in silence, and with it
    /// the lock, and another relay would tell the same rows.
    async fn send_awake(
        &self,
        session: &mut Session,
        rows: &[Row],
    ) -> Result<(Vec<i64>, Option<KafkaError>), TickError> {
        let mut sending = pin!(self.send(&session.producer, rows));
        loop {
            tokio::select! {
                sent = &mut sending => return Ok(sent),
                () = tokio::time::sleep(TICK) => {
                    timeout(STATEMENT, session.database.ping()).await??;
                }
            }
        }
    }

    /// The ids that the broker has acknowledged, and the first failure if there was one.
    async fn send(
        &self,
        producer: &FutureProducer<Connection>,
        rows: &[Row],
    ) -> (Vec<i64>, Option<KafkaError>) {
        let prefix = &self.settings.kafka.name_prefix;
        let started = SystemTime::now();
        // All are handed over, in order, before the first answer is waited for.
        let sent: Vec<_> = rows.iter().map(|row| row.send(producer, prefix)).collect();
        let mut failure = None;
        let mut acknowledged = Vec::with_capacity(rows.len());
        for (row, delivery) in rows.iter().zip(sent) {
            let result = match delivery {
                Ok(delivery) => delivered(delivery).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => {
                    acknowledged.push(row.id);
                    self.trace(row, started);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        (acknowledged, failure)
    }

    fn trace(&self, row: &Row, started: SystemTime) {
        let tracer = &self.settings.tracer;
        if let Some(place) = row.place().filter(|place| tracer.records(*place)) {
            tracer.end(send_span(&row.topic, place.new_child(), place, started));
        }
    }
}

/// Drops the producer first, so that nothing it still holds is published after the lock is gone.
async fn end(session: Option<Session>) {
    let Some(Session {
        database, producer, ..
    }) = session
    else {
        return;
    };
    // Dropping a producer waits for its thread, and so must not happen on a worker of the runtime.
    let dropped = tokio::task::spawn_blocking(move || {
        producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        drop(producer);
    });
    let _ = dropped.await;
    drop(database);
}
