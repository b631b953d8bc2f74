//! The seam between a service and Kafka.
//!
//! A service implements two functions. The consumer loop does the rest: offsets, transactions, retries, dead letters.
//!
//! * [`Handler::read`] is *pure*: it turns an event into work, or says why the event can never be processed. A record is poison
//!   only by this answer, or when the database refuses a value of this one record.
//! * [`Handler::apply`] does the work: one call for a whole batch, in the order of the partitions. It returns the events to
//!   publish. A handler that calls another system returns an outcome for each record instead: some may fail for now.
//!
//! The contract of `apply`: it may be called again with the same work, in part or as a whole, at any time, by this process or
//! by another one, also while a member that has lost its partitions still runs. It must write its result once, and return the
//! same events each time.

use std::any::Any;
use std::future::Future;

use chrono::{DateTime, Utc};
use shared_events::{Envelope, Poison};

/// What a service does with the records of its consumer group. See the module for the contract.
pub trait Handler: Send + Sync + 'static {
    /// The work that one record asks for.
    type Work: Send + Sync;

    /// The work that the event asks for, or `None` if this service does not handle it. `at` is the record's timestamp. Must be
    /// pure.
    ///
    /// # Errors
    /// The event can never be processed: its record goes to the dead-letter topic.
    fn read(&self, event: Envelope, at: DateTime<Utc>) -> Result<Option<Self::Work>, Poison>;

    /// Does the work, given in the order of the partitions, and returns the events to publish, in this order.
    ///
    /// # Errors
    /// What must be done: see [`Failure`].
    fn apply(&self, work: &[&Self::Work]) -> impl Future<Output = Result<Applied, Failure>> + Send;
}

/// What a handler made of its work.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// All of the work is done, and these are the events to publish.
    Events(Vec<Envelope>),
    /// Each work has an outcome of its own, in the order of the work.
    Each(Vec<Outcome>),
}

/// What became of one record.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and this is the event to publish.
    Done(Envelope),
    /// It failed for now, for this reason: another system does not answer, or answers that it cannot. The record is tried
    /// again, as `RETRY` says.
    FailedForNow(String),
    /// It was not tried: the time of the batch was over. The record stays where it is.
    NotTried,
}

impl From<Vec<Envelope>> for Applied {
    fn from(events: Vec<Envelope>) -> Self {
        Self::Events(events)
    }
}

/// What must be done about a batch that could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Retry the batch, for as long as it takes: an outage, a lost race, anything unforeseen. Nothing is committed.
    #[error("{operation} failed")]
    Retryable {
        /// Which operation failed, for the log.
        operation: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Find the record: the database refused a *value* (SQLSTATE 22*, 23514). The loop halves the batch until it knows which
    /// record is the cause, and sends this record to the dead-letter topic.
    #[error("{operation}: a value of the batch was refused")]
    BadValue {
        /// Which operation failed, for the log.
        operation: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failure {
    /// Classifies an error of PostgreSQL. An error is retryable unless it is certainly the fault of a value: a restart of the
    /// database has many codes (57P01, 57P03, 53300, 25P02 and more), and each must not turn valid records into poison.
    pub fn from_database(operation: &'static str, error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        let bad_value = code.is_some_and(|code| code.starts_with("22") || code == "23514");
        let source = Box::new(error);
        if bad_value {
            Self::BadValue { operation, source }
        } else {
            Self::Retryable { operation, source }
        }
    }
}

/// What a thread or a handler panicked with.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".to_owned())
}
