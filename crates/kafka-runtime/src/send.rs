//! Handing records to a producer.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders, ToBytes};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use shared_events::{Envelope, NamePrefix};

use crate::client::Connection;

/// Gives an event to the producer; the answer resolves when the broker has it.
pub(crate) fn send_event(
    producer: &FutureProducer<Connection>,
    prefix: &NamePrefix,
    event: &Envelope,
) -> Result<DeliveryFuture, KafkaError> {
    // An event always has a JSON form; should that change, nothing is settled and the log says so.
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
    send(
        producer,
        FutureRecord::to(&topic)
            .key(&key)
            .payload(&value)
            .headers(headers),
    )
}

/// Gives a record to the producer. `send_result` and not `send`, which sleeps 100 ms on a full queue: ours never fills, since a
/// batch is bounded.
pub(crate) fn send<K: ToBytes + ?Sized, V: ToBytes + ?Sized>(
    producer: &FutureProducer<Connection>,
    record: FutureRecord<'_, K, V>,
) -> Result<DeliveryFuture, KafkaError> {
    producer.send_result(record).map_err(|(error, _)| error)
}

/// Waits for the broker's acknowledgement.
pub(crate) async fn delivered(delivery: DeliveryFuture) -> Result<(), KafkaError> {
    match delivery.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}
