//! Commits, and what their errors mean.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::{CALL_TIMEOUT, Unsettled};
use crate::client::Connection;
use crate::member::assignment::Assignment;

/// Calls for one commit. A call that timed out is resumed by the next one (`rd_kafka_commit_transaction`), and its answer is final;
/// what else could tell the outcome is the group's committed offsets, and these can stay unreadable: a broker that was killed
/// between decision and markers of a transaction has been seen to forget the marker of the offsets (4.3.1), which only the next
/// transaction of the same producer then writes.
const COMMIT_CALLS: usize = 4;

/// How long a commit by itself may go unanswered, unless a test says otherwise. librdkafka's own time-outs end one after 66 s at most
/// (`socket.timeout.ms` and the session's), and by then the consumer has left its group (`max.poll.interval.ms`, 60 s). Yet one was
/// seen that never ended, after the broker had been frozen and killed under load (librdkafka 2.12.1; 20 minutes, then the process was ended).
pub(crate) const COMMIT_LIMIT: Duration = Duration::from_secs(75);

pub(super) fn commit_patiently(producer: &FutureProducer<Connection>) -> Result<(), KafkaError> {
    for _ in 1..COMMIT_CALLS {
        match producer.commit_transaction(CALL_TIMEOUT) {
            Err(error) if is_timeout(&error) => {
                tracing::warn!(%error, "the commit is not answered yet");
            }
            answered => return answered,
        }
    }
    producer.commit_transaction(CALL_TIMEOUT)
}

/// Commits offsets at once and by themselves. Fenced by member and generation like a transaction.
///
/// On a thread of its own, since librdkafka takes no limit for the wait. A commit that is not answered within this one leaves the
/// consumer in a state in which it never joins its group again: another must take its place.
pub(crate) fn commit(
    consumer: &Arc<BaseConsumer<Assignment>>,
    offsets: &TopicPartitionList,
    within: Duration,
) -> Result<(), Unsettled> {
    if offsets.count() == 0 {
        return Ok(());
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let (client, list) = (Arc::clone(consumer), offsets.clone());
    let committing = std::thread::Builder::new()
        .name("commit".to_owned())
        .spawn(move || {
            let committed = client.commit(&list, CommitMode::Sync);
            // Before the answer: who gets it may be about to close the consumer, and wait for that.
            drop(client);
            let _ = answer.send(committed);
        });
    if let Err(error) = committing {
        tracing::warn!(%error, "no thread for a commit");
        return Err(Unsettled::Failed(KafkaError::Canceled));
    }
    let answered = answered.recv_timeout(within);
    let committed = answered.map_err(|_| Unsettled::NotAnswered)?;
    committed.map_err(|error| match error.rdkafka_error_code() {
        Some(code) if group_moved(code) => Unsettled::GroupMoved(error),
        _ => Unsettled::Failed(error),
    })
}

pub(super) fn group_moved(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::RebalanceInProgress
    )
}

pub(super) fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(cause) if cause.is_fatal())
}

pub(super) fn is_timeout(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(
            RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}
