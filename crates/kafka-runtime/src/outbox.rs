//! The transactional outbox: how an event gets from a PostgreSQL transaction into Kafka.
//!
//! Writing the database first and producing then loses the event if the process dies in between. Producing first publishes an
//! event of something that may never be written. So the event is written into the table `outbox` in the same transaction as the
//! order ([`insert`]), and the [`Relay`] publishes it afterwards, with as many retries as it needs.
//!
//! * **One relay per database at a time**: the one that holds an advisory lock, on a connection of its own. The lock ends with
//!   the session, and PostgreSQL ends the session after 5 s without a statement. So a frozen relay loses the lock to another
//!   instance.
//! * **Published, acknowledged, deleted**, in this order, by exactly the ids that were acknowledged. A row with a lower id may be
//!   committed later, so deleting a range could delete a row that was never published.
//! * **What may happen twice**: a relay that is killed, frozen or abandoned between publishing and deleting leaves rows that its
//!   successor publishes again, possibly after the events of younger orders. This is harmless *because each order has exactly
//!   one event here*, and consumers recognise a repetition by its key.
//!
//! The service's migration creates the table:
//! `outbox (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic TEXT, key TEXT, headers JSONB, value BYTEA, created_at TIMESTAMPTZ)`.

mod relay;
mod relay_session;

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;
use shared_events::{Envelope, NamePrefix, Service};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::client::{self, BrokerHealth};
use crate::produce::{acknowledged, produce_event};
use crate::settings::KafkaSettings;

pub use relay::{Relay, RelayPanicked, RelaySettings, Waker};

/// How long an outbox producer waits to fill a batch, milliseconds. It packs the rows of one page into few requests.
const LINGER_MS: u32 = 1;

/// Writes events into the outbox, in the transaction of the given connection. They are published if and only if it commits.
///
/// # Errors
/// The insert failed. The transaction is then aborted.
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

/// Publishes events without an outbox, while the protection `outbox` is off. A crash between the commit and this call loses the events
/// for ever.
pub struct Publisher {
    producer: FutureProducer<BrokerHealth>,
    prefix: NamePrefix,
}

impl Publisher {
    fn new(
        service: Service,
        kafka: &KafkaSettings,
        health: BrokerHealth,
    ) -> Result<Self, KafkaError> {
        let client_id = client::client_id(service, kafka);
        Ok(Self {
            producer: client::idempotent_producer(kafka, &client_id, LINGER_MS, health)?,
            prefix: kafka.name_prefix.clone(),
        })
    }

    /// Publishes events, and returns when the broker has acknowledged each.
    ///
    /// # Errors
    /// The first failure. Other events may be published all the same.
    pub async fn publish(&self, events: &[Envelope]) -> Result<(), KafkaError> {
        let mut deliveries = Vec::with_capacity(events.len());
        for event in events {
            deliveries.push(produce_event(&self.producer, &self.prefix, event)?);
        }
        for delivery in deliveries {
            acknowledged(delivery).await?;
        }
        Ok(())
    }
}
