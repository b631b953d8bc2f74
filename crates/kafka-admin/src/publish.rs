//! Publishes records: events as the services publish them, and any other bytes.

use futures::future::try_join_all;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use shared_events::{Envelope, Topic};

use crate::clients;
use crate::cluster::Cluster;
use crate::cluster_error::ClusterError;

/// A record to publish. Key, headers and value may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The topic.
    pub topic: Topic,
    /// The partition. Default: that of the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl RawRecord {
    /// The record of an event, byte by byte as a service publishes it.
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
    /// Publishes records in order. Returns partition and offset of each once the broker has
    /// acknowledged all.
    pub async fn publish(&self, records: &[RawRecord]) -> Result<Vec<(i32, i64)>, ClusterError> {
        let producer = clients::publisher(self.settings()).map_err(ClusterError::no_client)?;
        let mut sent = Vec::new();
        for record in records {
            let topic = self.prefix().topic(record.topic);
            let delivery = producer.send_result(future_record(&topic, record));
            let delivery =
                delivery.map_err(|(error, _)| self.error(format!("publish to {topic}"), error))?;
            sent.push(async move {
                // The producer lives until all deliveries are awaited, so none is cancelled.
                let outcome = delivery.await.map_err(|_| KafkaError::Canceled);
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
