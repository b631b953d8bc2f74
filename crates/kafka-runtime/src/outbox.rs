//! How an event gets from a PostgreSQL transaction into Kafka: the transactional outbox.
//!
//! Writing the database and then sending loses the event when the process dies in between; sending first tells of what may
//! never be written. So the event is written into the table `outbox` in the same transaction as the order it tells of
//! ([`insert`]), and the [`Relay`] publishes it afterwards, as often as it takes.
//!
//! * **One relay per database at a time**: the one holding an advisory lock, on a connection of its own. The lock lives as long
//!   as its session, and the session ends after 5 s without a statement, so a frozen relay loses the lock to another instance.
//! * **Published, acknowledged, deleted**, in this order, by exactly the ids that were acknowledged: a row with a lower id may
//!   be committed later, so a range could delete what was never published.
//! * **What may happen twice**: a relay that is killed, frozen or given up on between publishing and deleting leaves rows that
//!   are published again, by its successor, and then possibly behind the events of younger orders. That is harmless *because
//!   each order has exactly one event here*, and consumers know a repetition by its key.
//!
//! The service's migration makes the table:
//! `outbox (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic TEXT, key TEXT, headers JSONB, value BYTEA, created_at TIMESTAMPTZ)`.

mod relay;

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use service_kit::readiness::Readiness;
use shared_events::{Envelope, EventHeaders, NamePrefix, Service, Topic, TraceParent};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::client::{self, Connection, Need};
use crate::send::{delivered, send, send_event};
use crate::settings::KafkaSettings;

pub use relay::{Relay, RelaySettings, Waker};

/// Writes events into the outbox, in the transaction of the connection given. They are told if and only if it commits.
pub async fn insert(connection: &mut PgConnection, events: &[Envelope]) -> Result<(), sqlx::Error> {
    let topics: Vec<&str> = events
        .iter()
        .map(|event| event.event.event_type().topic().name())
        .collect();
    let keys: Vec<String> = events.iter().map(Envelope::key).collect();
    let headers: Vec<Json<BTreeMap<&str, String>>> = events
        .iter()
        .map(|event| Json(event.header_pairs().into_iter().collect()))
        .collect();
    let values: Vec<Vec<u8>> = events
        .iter()
        .map(Envelope::value)
        .collect::<Result<_, _>>()
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "INSERT INTO outbox (topic, key, headers, value)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::jsonb[], $4::bytea[])",
    )
    .bind(topics)
    .bind(keys)
    .bind(headers)
    .bind(values)
    .execute(connection)
    .await?;
    Ok(())
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
    /// Where in a trace the order's request was.
    fn place(&self) -> Option<TraceParent> {
        let headers = self.headers.iter();
        EventHeaders::traceparent(headers.map(|(name, value)| (&**name, Some(value.as_bytes()))))
    }

    fn send(
        &self,
        producer: &FutureProducer<Connection>,
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
        // Rows hold the names of our own topics; any other is published under the name it has, and fails there with its reason.
        let topic = self
            .topic
            .parse::<Topic>()
            .map_or_else(|_| prefix.name(&self.topic), |topic| prefix.topic(topic));
        send(
            producer,
            FutureRecord::to(&topic)
                .key(&self.key)
                .payload(&self.value)
                .headers(headers),
        )
    }
}

/// Tells events without an outbox. What `PROTECTION_OFF=outbox` does instead: between the commit and this call, a crash loses
/// the events for ever.
pub struct Publisher {
    producer: FutureProducer<Connection>,
    prefix: NamePrefix,
}

impl Publisher {
    /// A producer of its own.
    pub fn new(
        service: Service,
        kafka: &KafkaSettings,
        readiness: &Readiness,
    ) -> Result<Self, KafkaError> {
        let connection = Connection::new(readiness.component("publisher"), Need::Optional);
        let producer =
            client::idempotent_producer(kafka, &client::client_id(service, kafka), 1, connection)?;
        Ok(Self {
            producer,
            prefix: kafka.name_prefix.clone(),
        })
    }

    /// Publishes events, and returns when the broker has acknowledged each.
    pub async fn publish(&self, events: &[Envelope]) -> Result<(), KafkaError> {
        let mut deliveries = Vec::with_capacity(events.len());
        for event in events {
            deliveries.push(send_event(&self.producer, &self.prefix, event)?);
        }
        for delivery in deliveries {
            delivered(delivery).await?;
        }
        Ok(())
    }
}
