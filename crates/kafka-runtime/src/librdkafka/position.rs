//! The position of a client: which offset it reads next of each partition.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};

use super::Client;
use crate::topic_partitions::{Offsets, Partition, TopicNames};

/// How long the coordinator may take to return committed offsets.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(3);

/// How long `seek` may wait for the fetcher.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// The next offset of each assigned partition from which a record was polled. It is past the control records (transaction
/// markers) that `poll` has skipped.
pub(crate) fn positions(client: &Client) -> Offsets {
    let Ok(list) = client.position() else {
        return Offsets::new();
    };
    known_offsets(client.context().names(), &list)
}

fn known_offsets(names: &TopicNames, list: &TopicPartitionList) -> Offsets {
    let known = |element: &TopicPartitionListElem<'_>| {
        let partition = Partition {
            topic: names.topic(element.topic())?,
            number: element.partition(),
        };
        match element.offset() {
            Offset::Offset(offset) if element.error().is_ok() => Some((partition, offset)),
            _ => None,
        }
    };
    list.elements().iter().filter_map(known).collect()
}

/// Asks for the committed offsets of these partitions, on a thread of its own: the answer may have to wait for an open
/// transaction of another partition. It arrives at [`MemberContext::take_committed`](super::MemberContext::take_committed).
pub(super) fn ask_committed(client: &Arc<Client>, partitions: &[Partition]) {
    let invalid = |partition: &Partition| (*partition, Offset::Invalid);
    let list = client
        .context()
        .names()
        .list(partitions.iter().map(invalid));
    let client = Arc::clone(client);
    let asking = std::thread::Builder::new().name("committed".to_owned());
    let spawned = asking.spawn(
        move || match client.committed_offsets(list, COMMITTED_TIMEOUT) {
            Ok(list) => {
                let context = client.context();
                context.add_committed(known_offsets(context.names(), &list));
            }
            Err(error) => tracing::debug!(%error, "no committed offsets"),
        },
    );
    if let Err(error) = spawned {
        tracing::debug!(%error, "no thread for the committed offsets");
    }
}

/// Seeks each of these partitions that is still assigned. The error is that of an assigned partition.
pub(super) fn seek(client: &Client, offsets: &Offsets) -> KafkaResult<()> {
    let context = client.context();
    let assigned = context.assigned();
    let offsets = offsets
        .iter()
        .filter(|(partition, _)| assigned.contains(partition));
    let list = context.names().offset_list(offsets);
    if list.count() == 0 {
        return Ok(());
    }
    let results = client.seek_partitions(list, SEEK_TIMEOUT)?;
    for element in results.elements() {
        match element.error() {
            Ok(()) => {}
            // Revoked before the callback has run: its new owner reads it from the committed offset.
            Err(error) if is_unassigned(error.rdkafka_error_code()) => {
                let (topic, partition) = (element.topic(), element.partition());
                tracing::info!(topic, partition, "not seeking: partition is revoked");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_unassigned(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(RDKafkaErrorCode::State | RDKafkaErrorCode::UnknownPartition)
    )
}
