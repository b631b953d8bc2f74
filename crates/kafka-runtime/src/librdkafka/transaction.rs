//! Issue 5423, and what else librdkafka's producer needs around a transaction.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};

use crate::broker_health::BrokerHealth;

/// How long one call about a transaction may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

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
        match producer.commit_transaction(CALL_TIMEOUT) {
            Err(error) if is_timeout(&error) => {
                tracing::warn!(%error, "transaction commit timed out, will resume");
            }
            answered => return answered,
        }
    }
    producer.commit_transaction(CALL_TIMEOUT)
}

/// Aborts the transaction in which this error happened. Whether the producer is usable after it.
///
/// A producer is not usable after a time-out (issue 5423): its request may still reach the broker, inside the next
/// transaction.
pub(crate) fn abort_transaction(
    producer: &FutureProducer<BrokerHealth>,
    error: &KafkaError,
) -> bool {
    !is_fatal(error) && !is_timeout(error) && producer.abort_transaction(CALL_TIMEOUT).is_ok()
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
