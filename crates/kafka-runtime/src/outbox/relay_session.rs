//! One session of the relay: its lock, and how it drains the outbox page by page.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, IntGauge, Registry};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use shared_events::{EventHeaders, NamePrefix, Topic, TraceParent};
use sqlx::types::Json;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use super::LINGER_MS;
use super::relay::{RelaySettings, TICK};
use crate::client::{self, BrokerHealth};
use crate::error_chain::ErrorChain;
use crate::faults::{CrashPoint, Protection};
use crate::produce::{acknowledged, produce, send_span};

/// Rows that are published at a time: enough that the cost of a statement does not matter, few enough that a repetition is
/// short.
pub(super) const PAGE: i64 = 1_000;

/// PostgreSQL ends the session, and with it the lock, after this time without a statement.
const SESSION_IDLE: &str = "5s";

/// How long one statement may take. The session has no other time-out.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The key of the advisory lock: "outbox" in ASCII.
const LOCK: i64 = 0x6f75_7462_6f78;

/// Why a page was not published. The relay then closes its session and opens another.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error("the outbox could not be read or deleted from")]
    Database(#[from] sqlx::Error),
    #[error("the table of the outbox does not exist yet")]
    NoTable,
    #[error("the outbox could not be published")]
    Kafka(#[from] KafkaError),
    #[error("PostgreSQL did not answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

/// What [`RelayDrain::drain_once`] did.
pub(super) enum Drained {
    /// Nothing: another instance holds the lock.
    NotLeader,
    /// This number of rows is published and deleted.
    Published(usize),
}

pub(super) struct RelayMetrics {
    published: IntCounter,
    leads: IntGauge,
}

impl RelayMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let published = IntCounter::new(
            "outbox_published_total",
            "Rows of the outbox that were published and deleted.",
        )?;
        let leads = IntGauge::new(
            "outbox_relay_leads",
            "1 while this instance holds the lock and relays.",
        )?;
        registry.register(Box::new(published.clone()))?;
        registry.register(Box::new(leads.clone()))?;
        Ok(Self { published, leads })
    }
}

/// A row of the outbox.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    topic: String,
    key: String,
    headers: Json<BTreeMap<String, String>>,
    value: Vec<u8>,
}

impl Row {
    /// The span of the order's request.
    fn traceparent(&self) -> Option<TraceParent> {
        let headers = self.headers.iter();
        EventHeaders::traceparent(headers.map(|(name, value)| (&**name, Some(value.as_bytes()))))
    }

    fn produce(
        &self,
        producer: &FutureProducer<BrokerHealth>,
        prefix: &NamePrefix,
    ) -> Result<DeliveryFuture, KafkaError> {
        let headers = self
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            });
        // A row holds the name of one of our topics. Any other name fails at the broker, with a reason.
        let topic = self
            .topic
            .parse::<Topic>()
            .map_or_else(|_| prefix.name(&self.topic), |topic| prefix.topic(topic));
        produce(
            producer,
            FutureRecord::to(&topic)
                .key(&self.key)
                .payload(&self.value)
                .headers(headers),
        )
    }
}

/// A connection to the database and a producer. They are always closed together: with the connection the relay loses its lock,
/// and the producer could still publish its rows after the next leader has started.
pub(super) struct RelaySession {
    database: PgConnection,
    producer: FutureProducer<BrokerHealth>,
    leads: bool,
}

/// Drains the outbox, with the session that it is given or a new one.
pub(super) struct RelayDrain {
    pub(super) settings: RelaySettings,
    pub(super) metrics: RelayMetrics,
    pub(super) health: BrokerHealth,
}

impl RelayDrain {
    /// Publishes and deletes one page, if this instance holds the lock or gets it. After an error the caller closes the session.
    pub(super) async fn drain_once(
        &self,
        session: &mut Option<RelaySession>,
    ) -> Result<Drained, RelayError> {
        let drained = self.try_drain(session).await;
        match &drained {
            Ok(_) => self.health.delivered(),
            Err(error) => {
                self.metrics.leads.set(0);
                if let RelayError::Kafka(_) = error {
                    self.health.not_delivered(&ErrorChain(error).to_string());
                }
            }
        }
        drained
    }

    async fn try_drain(&self, session: &mut Option<RelaySession>) -> Result<Drained, RelayError> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.open().await?),
        };
        if !session.leads && self.settings.faults.keeps(Protection::SingleRelay) {
            let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
            let lock = lock.fetch_one(&mut session.database);
            session.leads = timeout(STATEMENT_TIMEOUT, lock).await??;
            self.metrics.leads.set(i64::from(session.leads));
            if !session.leads {
                self.look_for_broker(&session.producer).await;
                return Ok(Drained::NotLeader);
            }
            tracing::info!("this instance relays now");
        }
        self.publish_page(session).await
    }

    async fn open(&self) -> Result<RelaySession, RelayError> {
        let RelaySettings {
            service,
            database,
            kafka,
            ..
        } = &self.settings;
        let options = database
            .clone()
            .options([("idle_session_timeout", SESSION_IDLE)]);
        let mut database = timeout(STATEMENT_TIMEOUT, options.connect()).await??;
        // A query of the table itself would be an error in PostgreSQL's log.
        let exists = sqlx::query_scalar("SELECT to_regclass('outbox') IS NOT NULL");
        let exists = exists.fetch_one(&mut database);
        if !timeout(STATEMENT_TIMEOUT, exists).await?? {
            return Err(RelayError::NoTable);
        }
        let client_id = client::client_id(*service, kafka);
        let health = self.health.clone();
        Ok(RelaySession {
            database,
            producer: client::idempotent_producer(kafka, &client_id, LINGER_MS, health)?,
            leads: false,
        })
    }

    /// Reads, publishes, deletes. No transaction is open meanwhile: the broker may take long, and a transaction would delay
    /// PostgreSQL's vacuum.
    async fn publish_page(&self, session: &mut RelaySession) -> Result<Drained, RelayError> {
        let read = sqlx::query_as(
            "SELECT id, topic, key, headers, value FROM outbox ORDER BY id LIMIT $1",
        )
        .bind(PAGE);
        let read = read.fetch_all(&mut session.database);
        let rows: Vec<Row> = timeout(STATEMENT_TIMEOUT, read).await??;
        if rows.is_empty() {
            self.look_for_broker(&session.producer).await;
            return Ok(Drained::Published(0));
        }
        self.settings.faults.pass(CrashPoint::RelayBeforePublish);
        let (acknowledged, failure) = self.publish_with_pings(session, &rows).await?;
        self.settings.faults.pass(CrashPoint::RelayAfterPublish);
        let delete = sqlx::query("DELETE FROM outbox WHERE id = ANY($1)").bind(&acknowledged);
        let delete = delete.execute(&mut session.database);
        timeout(STATEMENT_TIMEOUT, delete).await??;
        self.metrics.published.inc_by(acknowledged.len() as u64);
        match failure {
            Some(error) => Err(error.into()),
            None => {
                self.health.reached();
                Ok(Drained::Published(rows.len()))
            }
        }
    }

    /// Asks for a broker while none has answered. Without work the client connects when it likes, and does not say so.
    async fn look_for_broker(&self, producer: &FutureProducer<BrokerHealth>) {
        if self.health.is_reached() {
            return;
        }
        let producer = producer.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let client = producer.client();
            client.fetch_metadata(None, TICK).is_ok()
        });
        if asked.await.unwrap_or(false) {
            self.health.reached();
        }
    }

    /// [`RelayDrain::publish`], with a ping to PostgreSQL each second. Otherwise PostgreSQL would end the session during a
    /// long wait for the broker, and another relay would publish the same rows.
    async fn publish_with_pings(
        &self,
        session: &mut RelaySession,
        rows: &[Row],
    ) -> Result<(Vec<i64>, Option<KafkaError>), RelayError> {
        let mut publishing = pin!(self.publish(&session.producer, rows));
        loop {
            tokio::select! {
                published = &mut publishing => return Ok(published),
                () = tokio::time::sleep(TICK) => {
                    timeout(STATEMENT_TIMEOUT, session.database.ping()).await??;
                }
            }
        }
    }

    /// The ids that the broker has acknowledged, and the first failure.
    async fn publish(
        &self,
        producer: &FutureProducer<BrokerHealth>,
        rows: &[Row],
    ) -> (Vec<i64>, Option<KafkaError>) {
        let prefix = &self.settings.kafka.name_prefix;
        let started = SystemTime::now();
        // All rows are handed over, in order, before the first acknowledgement is awaited.
        let produced = rows.iter().map(|row| row.produce(producer, prefix));
        let produced: Vec<_> = produced.collect();
        let mut failure = None;
        let mut ids = Vec::with_capacity(rows.len());
        for (row, delivery) in rows.iter().zip(produced) {
            let result = match delivery {
                Ok(delivery) => acknowledged(delivery).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => {
                    ids.push(row.id);
                    self.trace(row, started);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        (ids, failure)
    }

    fn trace(&self, row: &Row, started: SystemTime) {
        let tracer = &self.settings.tracer;
        let parent = row
            .traceparent()
            .filter(|parent| tracer.is_recorded(*parent));
        if let Some(parent) = parent {
            tracer.record(send_span(&row.topic, parent.new_child(), parent, started));
        }
    }
}

/// Closes a session: the producer first, so that it publishes nothing after the lock is released.
pub(super) async fn close(session: Option<RelaySession>) {
    let Some(RelaySession {
        database, producer, ..
    }) = session
    else {
        return;
    };
    // Dropping a producer waits for its thread, so it must not happen on a worker of the runtime.
    let dropped = tokio::task::spawn_blocking(move || {
        producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        drop(producer);
    });
    let _ = dropped.await;
    drop(database);
}
