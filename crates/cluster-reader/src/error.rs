//! Why a poll has no result.

use std::io;
use std::time::Duration;

use kafka_protocol::ResponseError;

/// A poll is complete or one of these; nothing is ever left out. Each names the call and the broker.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nobody listens there, or the name is not known.
    #[error("no Kafka broker answers at {broker}")]
    Unreachable {
        /// `host:port`.
        broker: String,
        /// Why.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{call}: no answer from {broker} within {} ms", within.as_millis())]
    TimedOut {
        /// Which call.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// How long was waited.
        within: Duration,
    },
    /// The connection ended before the answer.
    #[error("{call}: the connection to {broker} broke")]
    Disconnected {
        /// Which call.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// How.
        source: io::Error,
    },
    /// The answer is not one that this crate can read.
    #[error("{call}: {broker} does not answer as a Kafka broker would: {what}")]
    Protocol {
        /// Which call.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// What is wrong.
        what: String,
    },
    /// The broker cannot tell of some part now: it has just started, a leader moved, a topic was deleted meanwhile. Asked again
    /// it will.
    #[error("{call}: {broker} cannot tell of {what} now: {why}")]
    Incomplete {
        /// Which call.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// The group or partition.
        what: String,
        /// The broker's reason.
        why: String,
    },
    /// The broker may not or will not tell.
    #[error("{call}: {broker} refuses to tell of {what}: {why}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// `host:port`.
        broker: String,
        /// The group or partition.
        what: String,
        /// The broker's reason.
        why: String,
    },
}

impl ReadError {
    /// One of six words, for the label of a metric.
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

    /// Every word that [`ReadError::kind`] can say.
    pub const KINDS: [&'static str; 6] = [
        "unreachable",
        "timeout",
        "disconnected",
        "protocol",
        "incomplete",
        "refused",
    ];
}

/// A call to a broker, for what goes wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The name of the call.
    pub call: &'static str,
    /// `host:port`.
    pub broker: &'a str,
}

impl Asked<'_> {
    /// Nothing, if the broker's error code says that all is well; an error about `what` otherwise.
    pub fn fine(self, code: i16, what: impl FnOnce() -> String) -> Result<(), ReadError> {
        if code == 0 {
            return Ok(());
        }
        let known = ResponseError::try_from_code(code);
        let why = known.map_or_else(|| format!("error {code}"), |known| format!("{known:?}"));
        let Self { call, broker } = self;
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

    /// The poll cannot be complete now.
    pub fn incomplete(self, what: String, why: &str) -> ReadError {
        ReadError::Incomplete {
            call: self.call,
            broker: self.broker.to_owned(),
            what,
            why: why.to_owned(),
        }
    }

    /// The answer cannot be read.
    pub fn unreadable(self, what: impl std::fmt::Display) -> ReadError {
        ReadError::Protocol {
            call: self.call,
            broker: self.broker.to_owned(),
            what: what.to_string(),
        }
    }
}
