//! Why an operation on a cluster fails.

use rdkafka::error::KafkaError;

/// Why an operation on a cluster fails. The text names the operation and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No broker answers.
    #[error("no Kafka broker answers at {address}{}", hint(.address))]
    Unreachable {
        /// The bootstrap addresses.
        address: String,
    },
    /// The broker or the client library reports an error.
    #[error("cannot {operation}: {cause}")]
    Failed {
        /// The operation, as a verb with its object.
        operation: String,
        /// The error. It is not a `source`: its own source would repeat its text.
        cause: KafkaError,
    },
    /// A change was not visible in time. The text names it.
    #[error("{0}")]
    TimedOut(String),
    /// A topic does not exist. The text lists the topics that exist, or says how to create it.
    #[error("{0}")]
    NotFound(String),
    /// The argument breaks a rule, which the text names. Nothing was written.
    #[error("{0}")]
    Invalid(String),
}

impl ClusterError {
    pub(crate) fn failed(operation: impl Into<String>, cause: KafkaError) -> Self {
        let operation = operation.into();
        Self::Failed { operation, cause }
    }

    pub(crate) fn no_client(cause: KafkaError) -> Self {
        Self::failed("create a Kafka client", cause)
    }
}

/// What to do when no broker answers. The name `kafka` on the host is the most frequent mistake.
fn hint(address: &str) -> &'static str {
    if address.contains("kafka:") {
        ": is it running? ./sandbox up kafka starts it (the name kafka is known inside Docker's network only; on the host use the address that ./sandbox url kafka prints)"
    } else {
        ": is it running? ./sandbox up kafka starts it"
    }
}
