//! The seam between a service and Kafka.
//!
//! A service says two things about its records, and nothing about offsets, transactions or retries:
//!
//! * [`Handler::read`] is *pure*: what does this event mean to me, or why can it never mean anything? Only what is said here
//!   (and what the database refuses for a single record) is poison.
//! * [`Handler::apply`] has the effect: one call for a whole batch, in the order of the topic, and it returns the events to tell.
//!
//! The contract of `apply`: it may be called again with the same work, in part or as a whole, by this process or by another,
//! at any time, also while a predecessor that lost its partitions is still running. It must have its effect once, and return
//! the same events each time.

use std::future::Future;

use chrono::{DateTime, Utc};
use shared_events::{Envelope, Poison};

/// What a service does with the records of its consumer group.
pub trait Handler: Send + Sync + 'static {
    /// One record's meaning to this service.
    type Work: Send + Sync;

    /// What the event means here: `Some` work, `None` if it is not for us, or why it never can be. `at` is the record's
    /// timestamp. Must be pure.
    fn read(&self, event: Envelope, at: DateTime<Utc>) -> Result<Option<Self::Work>, Poison>;

    /// Has the effect of the work, given in the order of the partitions, and returns the events that answer it, to be told in
    /// this order. See the module for the contract.
    fn apply(
        &self,
        work: &[&Self::Work],
    ) -> impl Future<Output = Result<Vec<Envelope>, Failure>> + Send;
}

/// What must be done about an effect that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Everything but the next: an outage, a lost race, anything nobody thought of. Nothing is settled, and the batch comes
    /// again for as long as it takes.
    #[error("{operation} failed; the batch comes again")]
    Retryable {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database refused a *value* (SQLSTATE 22*, 23514). Some record of the batch is the cause: the loop splits the batch
    /// until it knows which, and sets that one aside.
    #[error("{operation}: a value of the batch was refused")]
    BadValue {
        /// What was tried.
        operation: &'static str,
        /// Why it was refused.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failure {
    /// Sorts an error of PostgreSQL. Whatever is not plainly the fault of a value is retryable: a restart of the database shows
    /// as 57P01, 57P03, 53300, 25P02 and more, and a table whose default was poison would set good orders aside.
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
