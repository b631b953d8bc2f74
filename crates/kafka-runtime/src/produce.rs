//! Handing records to a producer.

use std::time::SystemTime;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders, ToBytes};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use service_kit::trace::{Span, SpanKind};
use shared_events::{Envelope, NamePrefix, TraceParent};

use crate::broker_health::BrokerHealth;

/// Hands an event to the producer. [`acknowledged`] waits for its delivery.
pub(crate) fn produce_event(
    producer: &FutureProducer<BrokerHealth>,
    prefix: &NamePrefix,
    event: &Envelope,
) -> Result<DeliveryFuture, KafkaError> {
    // Every event has a JSON form today. If one had none, this error would fail its batch and appear in the log.
    let value = event
        .value()
        .map_err(|_| KafkaError::MessageProduction(RDKafkaErrorCode::InvalidArgument))?;
    let pairs = event.header_pairs();
    let headers = pairs.iter().fold(
        OwnedHeaders::new_with_capacity(pairs.len()),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        },
    );
    let (topic, key) = (prefix.topic(event.event.event_type().topic()), event.key());
    produce(
        producer,
        FutureRecord::to(&topic)
            .key(&key)
            .payload(&value)
            .headers(headers),
    )
}

/// The headers of a record with these added.
pub(crate) fn with(headers: OwnedHeaders, pairs: &[(&'static str, String)]) -> OwnedHeaders {
    pairs.iter().fold(headers, |headers, (key, value)| {
        let value = Some(value);
        headers.insert(Header { key, value })
    })
}

/// Hands a record to the producer.
///
/// `send_result` and not `send`, which sleeps for 100 ms when the queue is full. Our queue never fills: a batch is bounded.
pub(crate) fn produce<K: ToBytes + ?Sized, V: ToBytes + ?Sized>(
    producer: &FutureProducer<BrokerHealth>,
    record: FutureRecord<'_, K, V>,
) -> Result<DeliveryFuture, KafkaError> {
    producer.send_result(record).map_err(|(error, _)| error)
}

/// Waits until the broker has acknowledged the record.
pub(crate) async fn acknowledged(delivery: DeliveryFuture) -> Result<(), KafkaError> {
    match delivery.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}

/// The span of a record that the broker has acknowledged.
pub(crate) fn send_span(
    topic: &str,
    span: TraceParent,
    parent: TraceParent,
    started: SystemTime,
) -> Span {
    Span::new(format!("send {topic}"), SpanKind::Producer, span, started)
        .child_of(parent)
        .attribute("messaging.system", "kafka")
        .attribute("messaging.operation.type", "send")
        .attribute("messaging.destination.name", topic.to_owned())
}
