//! Seeking back: what makes a failed batch come again.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};

use crate::member::assignment::{Assignment, Partition};
use crate::member::batch::Offsets;

const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes each of these partitions go on from the given offset, as far as it is still assigned. An error if one that is could not be.
pub(crate) fn seek(consumer: &BaseConsumer<Assignment>, to: &Offsets) -> KafkaResult<()> {
    let assignment = consumer.context();
    let ours: BTreeSet<Partition> = assignment.assigned();
    let to = to.iter().filter(|(partition, _)| ours.contains(partition));
    let list = assignment
        .names()
        .list(to.map(|(partition, offset)| (*partition, Offset::Offset(*offset))));
    if list.count() == 0 {
        return Ok(());
    }
    let sought = consumer.seek_partitions(list, SEEK_TIMEOUT)?;
    for element in sought.elements() {
        match element.error() {
            Ok(()) => {}
            // No longer assigned, though no callback has told us yet: its new owner reads it from the committed offset.
            Err(error) if no_longer_assigned(error.rdkafka_error_code()) => {
                tracing::info!(
                    topic = element.topic(),
                    partition = element.partition(),
                    "not ours any more: not sought back"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn no_longer_assigned(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(RDKafkaErrorCode::State | RDKafkaErrorCode::UnknownPartition)
    )
}
