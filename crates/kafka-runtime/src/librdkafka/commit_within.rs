//! Commits of offsets with a limit, and what the error of a commit asks for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::Client;

/// How long a commit may go unanswered.
///
/// librdkafka's own time-outs end a commit after 66 s at most (`socket.timeout.ms` and the session time-out), and by then the
/// consumer has left its group (`max.poll.interval.ms`, 60 s). One commit was measured that librdkafka had not ended after 20
/// minutes: the broker had been frozen and killed under load.
pub(crate) const COMMIT_LIMIT: Duration = Duration::from_secs(75);

/// Why a batch is not committed. Each variant asks for another answer of the consumer loop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// Nothing is committed. Seek back and go on at once: a rebalance happens whenever members come and go.
    #[error("the group rebalanced")]
    Rebalanced(#[source] KafkaError),
    /// Nothing is committed. Seek back, wait and retry.
    #[error("the batch could not be committed")]
    Retryable(#[source] KafkaError),
    /// The batch may be committed or not. Seeking back could publish its events twice, and going on could skip them. Begin
    /// again at the committed offsets, which say what happened.
    #[error("the commit was not answered")]
    OutcomeUnknown(#[source] KafkaError),
    /// Nothing is committed. End the process: the two would fence each other for ever.
    #[error("fenced by another process with the same SLOT")]
    SlotTaken,
}

/// Commits offsets on a thread of its own, since librdkafka takes no limit for the wait.
///
/// A client whose commit stays unanswered never joins its group again, so it must be replaced.
pub(super) fn commit(
    client: &Arc<Client>,
    offsets: &TopicPartitionList,
    limit: Duration,
) -> Result<(), CommitError> {
    if offsets.count() == 0 {
        return Ok(());
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let (client, list) = (Arc::clone(client), offsets.clone());
    let committing = std::thread::Builder::new()
        .name("commit".to_owned())
        .spawn(move || {
            let committed = client.commit(&list, CommitMode::Sync);
            // Before the answer: the receiver may close the consumer next, and closing waits for the last reference.
            drop(client);
            let _ = answer.send(committed);
        });
    if let Err(error) = committing {
        tracing::warn!(%error, "no thread for a commit");
        return Err(CommitError::Retryable(KafkaError::Canceled));
    }
    let committed = answered.recv_timeout(limit).map_err(|_| {
        let timed_out = KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut);
        CommitError::OutcomeUnknown(timed_out)
    })?;
    committed.map_err(|error| match error.rdkafka_error_code() {
        Some(code) if is_rebalance(code) => CommitError::Rebalanced(error),
        _ => CommitError::Retryable(error),
    })
}

/// The last two are those of the protocol `consumer`. In a transaction the broker answers `IllegalGeneration` there, too.
pub(crate) fn is_rebalance(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::RebalanceInProgress
            | RDKafkaErrorCode::StaleMemberEpoch
            | RDKafkaErrorCode::FencedMemberEpoch
    )
}
