//! Issue 5423, and what else librdkafka's producer needs around a transaction.

use std::sync::mpsc;
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::broker_health::BrokerHealth;

/// How long one call about a transaction may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long librdkafka may take to notice that a call has taken too long. It flushes before it commits, each for [`CALL_TIMEOUT`].
///
/// librdkafka waits for the answer of its main thread without a limit, and that thread can lose the call: after the coordinator
/// was killed, a call was measured that had not ended after two minutes. The member did not poll meanwhile and lost its group.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Calls for one commit. A call after a time-out resumes the same commit (`rd_kafka_commit_transaction`), and its answer is
/// final.
///
/// The committed offsets could say the outcome as well, but they can stay unreadable: a broker (4.3.1) that was killed
/// between the decision and the markers of a transaction has been seen to forget the marker of the offsets. Only the next
/// transaction of the same producer writes it.
const COMMIT_CALLS: usize = 4;

/// Commits a transaction. A time-out of it leaves the outcome unknown.
pub(crate) fn commit_transaction(
    producer: &FutureProducer<BrokerHealth>,
) -> Result<(), KafkaError> {
    for _ in 1..COMMIT_CALLS {
        match commit_once(producer) {
            Err(error) if is_timeout(&error) => {
                tracing::warn!(%error, "transaction commit timed out, will resume");
            }
            answered => return answered,
        }
    }
    commit_once(producer)
}

fn commit_once(producer: &FutureProducer<BrokerHealth>) -> Result<(), KafkaError> {
    within(producer, CALL_LIMIT, |producer| {
        producer.commit_transaction(CALL_TIMEOUT)
    })
}

/// Aborts the transaction of a predecessor with the same transactional id, and fences it.
pub(crate) fn init_transactions(producer: &FutureProducer<BrokerHealth>) -> Result<(), KafkaError> {
    within(producer, CALL_LIMIT, |producer| {
        producer.init_transactions(CALL_TIMEOUT)
    })
}

/// Adds offsets to the transaction.
pub(crate) fn send_offsets(
    producer: &FutureProducer<BrokerHealth>,
    offsets: &TopicPartitionList,
    group: ConsumerGroupMetadata,
) -> Result<(), KafkaError> {
    let offsets = offsets.clone();
    within(producer, CALL_LIMIT, move |producer| {
        producer.send_offsets_to_transaction(&offsets, &group, CALL_TIMEOUT)
    })
}

/// Makes a call on a thread of its own, and gives it up after the limit: the error is a time-out. The thread keeps the client
/// alive then, and the next producer with the same transactional id fences it.
fn within<P: Clone + Send + 'static>(
    producer: &P,
    limit: Duration,
    call: impl FnOnce(&P) -> Result<(), KafkaError> + Send + 'static,
) -> Result<(), KafkaError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let producer = producer.clone();
    let calling = std::thread::Builder::new()
        .name("transaction".to_owned())
        .spawn(move || {
            let done = call(&producer);
            // Before the answer: the receiver may drop its producer next, and the last reference closes the client.
            drop(producer);
            let _ = answer.send(done);
        });
    if let Err(error) = calling {
        tracing::warn!(%error, "no thread for a transaction");
        return Err(KafkaError::Canceled);
    }
    let timed_out = |_| Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut));
    answered.recv_timeout(limit).unwrap_or_else(timed_out)
}

/// Aborts the transaction in which this error happened. Whether the producer is usable after it.
///
/// A producer is not usable after a time-out (issue 5423): its request may still reach the broker, inside the next
/// transaction.
pub(crate) fn abort_transaction(
    producer: &FutureProducer<BrokerHealth>,
    error: &KafkaError,
) -> bool {
    let abort = |producer: &FutureProducer<BrokerHealth>| producer.abort_transaction(CALL_TIMEOUT);
    !is_fatal(error) && !is_timeout(error) && within(producer, CALL_LIMIT, abort).is_ok()
}

/// Whether a producer without transactions is usable after this error.
///
/// After a time-out it may have lost every broker for good (issue 5301), and would time out for ever.
pub(crate) fn is_usable_after(producer: &FutureProducer<BrokerHealth>, error: &KafkaError) -> bool {
    !is_timeout(error) && producer.client().fatal_error().is_none()
}

fn is_fatal(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(cause) if cause.is_fatal())
}

fn is_timeout(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_ends_is_a_timeout_and_an_answer_is_passed_on() {
        let (_never, waits) = mpsc::channel::<()>();
        let limit = Duration::from_millis(20);
        let lost = within(&(), limit, move |()| {
            waits.recv().map_err(|_| KafkaError::Canceled)
        });
        assert!(lost.is_err_and(|error| is_timeout(&error)));
        let refused = within(&(), CALL_LIMIT, |()| Err(KafkaError::Canceled));
        assert_eq!(refused, Err(KafkaError::Canceled));
    }
}
