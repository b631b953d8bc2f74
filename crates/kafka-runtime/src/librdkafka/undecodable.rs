//! Finding a record set that librdkafka cannot decode.
//!
//! librdkafka reports once that there is such a record set and skips it. rdkafka does not pass on where it was. So a probe, a
//! client without a group, reads each assigned partition from the member's position.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::IDLE_POLL;
use crate::client::{self, ClientLog};
use crate::settings::KafkaSettings;
use crate::topic_partitions::{Offsets, Partition, TopicNames};

/// How long the probe reads one partition.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the error means a record set that is damaged, or compressed by a codec that this client lacks.
pub(crate) fn is_undecodable(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::NotImplemented
        )
    )
}

/// The first of these positions whose next record set cannot be decoded. `None` if the probe finds none.
pub(crate) fn find_undecodable(
    kafka: &KafkaSettings,
    names: &TopicNames,
    positions: &Offsets,
) -> Option<(Partition, i64)> {
    let mut positions = positions.iter();
    positions
        .find(|position| probe(kafka, names, *position) == Probe::Undecodable)
        .map(|(partition, offset)| (*partition, *offset))
}

#[derive(Debug, PartialEq, Eq)]
enum Probe {
    Undecodable,
    /// A record was read, or nothing could be found out in time.
    Nothing,
}

fn probe(kafka: &KafkaSettings, names: &TopicNames, position: (&Partition, &i64)) -> Probe {
    let config = client::probe_config(kafka);
    let Ok(consumer) = client::create::<BaseConsumer<ClientLog>, _>(&config, ClientLog) else {
        return Probe::Nothing;
    };
    if consumer.assign(&names.offset_list([position])).is_err() {
        return Probe::Nothing;
    }
    let deadline = Instant::now() + PROBE_TIMEOUT;
    while Instant::now() < deadline {
        match consumer.poll(IDLE_POLL) {
            Some(Err(error)) if is_undecodable(&error) => return Probe::Undecodable,
            Some(Ok(_)) => return Probe::Nothing,
            Some(Err(_)) | None => {}
        }
    }
    Probe::Nothing
}
