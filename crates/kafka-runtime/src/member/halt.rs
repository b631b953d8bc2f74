//! A member that stopped by itself: it stays up and in its group, takes no records, and says where it stands.
//!
//! It does not exit: a restart policy would undo that, and the topic would drain into the dead letters after all.

use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};

use crate::client;
use crate::member::assignment::{Partition, TopicNames};
use crate::member::batch::{Offsets, is_undecodable};
use crate::settings::KafkaSettings;

/// How long one partition is looked at for a record set that cannot be decoded.
const PROBE: Duration = Duration::from_secs(3);

/// Why a member takes no more records until somebody resumes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Too much poison in a row. The record named was the last set aside.
    PoisonLimit {
        limit: u32,
        topic: String,
        partition: i32,
        offset: i64,
    },
    /// The client cannot decode what is at this place.
    Undecodable {
        topic: String,
        partition: i32,
        offset: i64,
    },
    /// The client cannot decode a record set, and no place could be made out.
    UndecodableSomewhere,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoisonLimit {
                limit,
                topic,
                partition,
                offset,
            } => write!(
                f,
                "poison_limit: {limit} poison records in a row, the last at {topic}/{partition} offset {offset}; POST /resume goes on"
            ),
            Self::Undecodable {
                topic,
                partition,
                offset,
            } => write!(
                f,
                "undecodable: the record set at {topic}/{partition} offset {offset} is damaged or packed by an unknown codec; POST /resume tries again"
            ),
            Self::UndecodableSomewhere => {
                write!(
                    f,
                    "undecodable: a record set is damaged or packed by an unknown codec; POST /resume tries again"
                )
            }
        }
    }
}

/// Finds the partition whose next record set cannot be decoded. librdkafka says *that* there is one, but rdkafka passes on no
/// place, so a client of its own looks at each partition from where the member stands.
pub(crate) fn find_undecodable(
    kafka: &KafkaSettings,
    names: &TopicNames,
    positions: &Offsets,
) -> Halt {
    let damaged = positions
        .iter()
        .find(|(partition, offset)| is_damaged(kafka, names, **partition, **offset));
    match damaged {
        Some((partition, offset)) => Halt::Undecodable {
            topic: names.name(partition.topic).to_owned(),
            partition: partition.number,
            offset: *offset,
        },
        None => Halt::UndecodableSomewhere,
    }
}

fn is_damaged(
    kafka: &KafkaSettings,
    names: &TopicNames,
    partition: Partition,
    offset: i64,
) -> bool {
    let config = client::probe_config(kafka);
    let Ok(probe) = client::create::<BaseConsumer, _>(&config, DefaultConsumerContext) else {
        return false;
    };
    if probe
        .assign(&names.list([(partition, Offset::Offset(offset))]))
        .is_err()
    {
        return false;
    }
    let deadline = Instant::now() + PROBE;
    while Instant::now() < deadline {
        match probe.poll(Duration::from_millis(100)) {
            Some(Err(error)) if is_undecodable(&error) => return true,
            Some(Ok(_)) => return false,
            Some(Err(_)) | None => {}
        }
    }
    false
}
