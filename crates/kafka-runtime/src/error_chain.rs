//! An error with its causes, in one line.

use std::fmt;

/// An error with all its causes, in one line. A cause that the text names already is not repeated.
pub(crate) struct ErrorChain<'e>(pub(crate) &'e dyn std::error::Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text += ": ";
                text += &next;
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;
    use crate::handler::Failure;
    use crate::librdkafka::CommitError;

    #[test]
    fn each_cause_is_named_once() {
        let refused = KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut);
        let error = CommitError::Retryable(refused);
        assert_eq!(
            ErrorChain(&error).to_string(),
            "the batch could not be committed: Consumer commit error: OperationTimedOut (Local: Timed out)"
        );
        let failure = Failure::from_database("reserving stock", sqlx::Error::PoolTimedOut);
        let text = ErrorChain(&failure).to_string();
        assert_eq!(text.matches("failed").count(), 1, "{text}");
        assert!(
            text.starts_with("reserving stock failed: pool timed out"),
            "{text}"
        );
    }
}
