//! Why a poll failed.

use std::io;
use std::time::Duration;

use kafka_protocol::ResponseError;

/// Why a poll failed. A poll is complete or an error, so no group or partition is ever left out.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No broker listens at the address, or its name cannot be resolved.
    #[error("no Kafka broker answers at {broker}")]
    Unreachable {
        /// `host:port`.
        broker: String,
        /// The error of the connection attempt.
        source: io::Error,
    },
    /// The broker did not answer in time.
    #[error("{call}: no answer from {broker} within {} ms", within.as_millis())]
    TimedOut {
        /// The name of the Kafka request.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// The time limit.
        within: Duration,
    },
    /// The connection closed before the answer was complete.
    #[error("{call}: the connection to {broker} broke")]
    Disconnected {
        /// The name of the Kafka request.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// The error of the connection.
        source: io::Error,
    },
    /// The answer cannot be decoded, or the broker does not support the request.
    #[error("{call}: {broker} does not answer as a Kafka broker would: {what}")]
    Protocol {
        /// The name of the Kafka request.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// The broker cannot answer for some part at the moment: it has just started, a leader moved,
    /// or a topic was deleted meanwhile. A later poll can succeed.
    #[error("{call}: {broker} cannot answer for {what} at the moment: {why}")]
    Incomplete {
        /// The name of the Kafka request.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// The group or partition.
        what: String,
        /// The broker's error code, by name.
        why: String,
    },
    /// The broker refuses the request: it is not authorized, or not supported.
    #[error("{call}: {broker} refuses to answer for {what}: {why}")]
    Refused {
        /// The name of the Kafka request.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// The group or partition.
        what: String,
        /// The broker's error code, by name.
        why: String,
    },
}

impl ReadError {
    /// The kind of error, one of [`ReadError::KINDS`]. Used as the label of a metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timeout",
            Self::Disconnected { .. } => "disconnected",
            Self::Protocol { .. } => "protocol",
            Self::Incomplete { .. } => "incomplete",
            Self::Refused { .. } => "refused",
        }
    }

    /// All values of [`ReadError::kind`].
    pub const KINDS: [&'static str; 6] = [
        "unreachable",
        "timeout",
        "disconnected",
        "protocol",
        "incomplete",
        "refused",
    ];
}

/// A request to a broker, as errors name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The name of the Kafka request.
    pub name: &'static str,
    /// `host:port`.
    pub broker: &'a str,
}

impl Call<'_> {
    /// Turns the error code of an answer about `what` into an error, unless it is 0.
    pub fn check(self, code: i16, what: impl FnOnce() -> String) -> Result<(), ReadError> {
        if code == 0 {
            return Ok(());
        }
        let known = ResponseError::try_from_code(code);
        let why = known.map_or_else(|| format!("error {code}"), |known| format!("{known:?}"));
        let Self { name: call, broker } = self;
        let (broker, what) = (broker.to_owned(), what());
        use ResponseError as Code;
        Err(match known {
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::UnsupportedVersion,
            ) => ReadError::Refused {
                call,
                broker,
                what,
                why,
            },
            _ => ReadError::Incomplete {
                call,
                broker,
                what,
                why,
            },
        })
    }

    /// The answer lacks a part that was asked for.
    pub fn incomplete(self, what: String, why: &str) -> ReadError {
        ReadError::Incomplete {
            call: self.name,
            broker: self.broker.to_owned(),
            what,
            why: why.to_owned(),
        }
    }

    /// The answer cannot be decoded.
    pub fn unreadable(self, what: impl std::fmt::Display) -> ReadError {
        ReadError::Protocol {
            call: self.name,
            broker: self.broker.to_owned(),
            what: what.to_string(),
        }
    }
}
