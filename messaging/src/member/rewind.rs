//! Seeking back: what makes a failed batch come again.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};

use crate::member::MemberError;
use crate::member::assignment::{Assignment, Partition};
use crate::member::batch::Offsets;

const SEEK_TIMEOUT: Duration = Duration::from_secs(5);
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes each of these partitions go on from the given offset, as far as it is still assigned.
pub(crate) fn seek(consumer: &BaseConsumer<Assignment>, to: &Offsets) -> Result<(), MemberError> {
    let assignment = consumer.context();
    let ours: BTreeSet<Partition> = assignment.assigned();
    let to = to.iter().filter(|(partition, _)| ours.contains(partition));
    let list = assignment
        .names()
        .list(to.map(|(partition, offset)| (*partition, Offset::Offset(*offset))));
    if list.count() == 0 {
        return Ok(());
    }
    let sought = consumer
        .seek_partitions(list, SEEK_TIMEOUT)
        .map_err(MemberError::Seek)?;
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
            Err(error) => return Err(MemberError::Seek(error)),
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

/// Where a batch goes on whose commit was not answered. The group's committed offsets tell: they stand at the batch's end if it
/// was committed after all, and before it if not. An error while the coordinator does not answer.
pub(crate) fn after_unknown_commit(
    consumer: &BaseConsumer<Assignment>,
    starts: &Offsets,
) -> KafkaResult<Offsets> {
    let names = consumer.context().names();
    let list = names.list(starts.keys().map(|partition| (*partition, Offset::Invalid)));
    let committed = consumer.committed_offsets(list, COMMITTED_TIMEOUT)?;
    let mut to = starts.clone();
    for element in committed.elements() {
        element.error()?;
        let Some(topic) = names.topic(element.topic()) else {
            continue;
        };
        let partition = Partition {
            topic,
            number: element.partition(),
        };
        if let (Offset::Offset(offset), Some(start)) = (element.offset(), to.get_mut(&partition)) {
            *start = offset.max(*start);
        }
    }
    Ok(to)
}
