//! Puts records into topics: events as a service would, and rubbish as no service would.

use futures::future::try_join_all;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use shared_events::{Envelope, Topic};

use crate::{Cluster, ClusterError, handles};

/// A record to publish. Everything in it may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Where it goes.
    pub topic: Topic,
    /// Which partition; the one of its key if none is named.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl RawRecord {
    /// The record of an event, exactly as a service would publish it.
    pub fn event(event: &Envelope) -> Result<Self, serde_json::Error> {
        let headers = event.header_pairs();
        Ok(Self {
            topic: event.event.event_type().topic(),
            partition: None,
            key: Some(event.key().into_bytes()),
            headers: headers
                .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
                .into(),
            value: Some(event.value()?),
        })
    }
}

impl Cluster {
    /// Publishes records in order and returns partition and offset of each, once the broker has acknowledged all.
    pub async fn publish(&self, records: &[RawRecord]) -> Result<Vec<(i32, i64)>, ClusterError> {
        let producer = handles::publisher(&self.settings)
            .map_err(|error| ClusterError::refused("make a Kafka client", error))?;
        let mut sent = Vec::new();
        for record in records {
            let topic = self.prefix().topic(record.topic);
            let delivery = producer.send_result(future_record(&topic, record));
            let delivery =
                delivery.map_err(|(error, _)| self.error(format!("publish to {topic}"), error))?;
            sent.push(async move {
                // The producer lives until all are awaited, so a delivery is never cancelled.
                let outcome = delivery
                    .await
                    .map_err(|_| rdkafka::error::KafkaError::Canceled);
                let outcome = outcome.and_then(|outcome| outcome.map_err(|(error, _)| error));
                outcome
                    .map(|delivered| (delivered.partition, delivered.offset))
                    .map_err(|error| self.error(format!("publish to {topic}"), error))
            });
        }
        try_join_all(sent).await
    }
}

fn future_record<'a>(topic: &'a str, record: &'a RawRecord) -> FutureRecord<'a, [u8], [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (name, value) in &record.headers {
        headers = headers.insert(Header {
            key: name,
            value: value.as_deref(),
        });
    }
    let mut future = FutureRecord::to(topic).headers(headers);
    if let Some(key) = &record.key {
        future = future.key(key.as_slice());
    }
    if let Some(value) = &record.value {
        future = future.payload(value.as_slice());
    }
    if let Some(partition) = record.partition {
        future = future.partition(partition);
    }
    future
}
