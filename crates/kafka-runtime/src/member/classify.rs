//! Classifying each record, and finding the record that makes a batch fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use shared_events::{Decoded, Envelope, Poison, PoisonClass};

use crate::dead_letter::{Header, is_for_another_group};
use crate::handler::{Applied, Failure, Handler, Outcome, panic_text};
use crate::member::collect::Wait;
use crate::metrics::labels::SkipReason;
use crate::retry::RetryHeaders;

/// What is done with one record.
pub(crate) enum Classification<W> {
    /// It is work for the handler.
    Work(W),
    /// It is a valid event, but not for this service or this group.
    Skipped(SkipReason),
    /// It can never be processed.
    Poison(Poison),
    /// It stays where it is, and its partition waits with it.
    Waiting(Wait),
    /// It is sent to the retry topic with these headers.
    Retry(RetryHeaders),
}

/// Reads the retry headers of a record of the retry topic, and classifies the record. One that is not due yet waits.
pub(crate) fn classify_retried<H: Handler>(
    handler: &H,
    group: &str,
    message: &BorrowedMessage<'_>,
) -> (Classification<H::Work>, Option<RetryHeaders>) {
    let retry = match record_headers(message) {
        Ok(pairs) => RetryHeaders::from_pairs(&pairs),
        Err(poison) => return (Classification::Poison(poison), None),
    };
    let retry = match retry {
        Ok(retry) => retry,
        Err(error) => {
            let poison = Poison::new(PoisonClass::BadHeader, error.to_string());
            return (Classification::Poison(poison), None);
        }
    };
    let published = timestamp(message).timestamp_millis();
    let wait = |retry: &RetryHeaders| retry.wait_at(Utc::now().timestamp_millis(), published);
    let classification = match retry.as_ref().and_then(wait) {
        Some(wait) => Classification::Waiting(Wait { wait, cause: None }),
        None => classify(handler, group, message),
    };
    (classification, retry)
}

/// Classifies a record. Pure, so a panic in here is the fault of the record, which is then poison.
pub(crate) fn classify<H: Handler>(
    handler: &H,
    group: &str,
    message: &BorrowedMessage<'_>,
) -> Classification<H::Work> {
    let headers = match record_headers(message) {
        Ok(headers) => headers,
        Err(poison) => return Classification::Poison(poison),
    };
    if is_for_another_group(headers.iter().copied(), group) {
        return Classification::Skipped(SkipReason::ReplayedForAnother);
    }
    let read = || match Envelope::decode(message.key(), headers.iter().copied(), message.payload())?
    {
        Decoded::UnknownType(_) => Ok(Classification::Skipped(SkipReason::UnknownType)),
        Decoded::Event(envelope) => Ok(match handler.read(*envelope, timestamp(message))? {
            Some(work) => Classification::Work(work),
            None => Classification::Skipped(SkipReason::NotOurs),
        }),
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(classification) => classification.unwrap_or_else(Classification::Poison),
        Err(panic) => Classification::Poison(panicked(&*panic)),
    }
}

/// The headers of a record. rdkafka panics on a name that is not UTF-8, and has no other way to read it.
pub(super) fn record_headers<'m>(
    message: &'m BorrowedMessage<'_>,
) -> Result<Vec<Header<'m>>, Poison> {
    let Some(headers) = message.headers() else {
        return Ok(Vec::new());
    };
    let pairs = || {
        headers
            .iter()
            .map(|header| (header.key, header.value))
            .collect()
    };
    catch_unwind(AssertUnwindSafe(pairs))
        .map_err(|_| Poison::new(PoisonClass::BadHeader, "the name of a header is not UTF-8"))
}

/// The record's timestamp. Now for a record without one, which only clients older than Kafka 0.10 produce.
fn timestamp(message: &BorrowedMessage<'_>) -> DateTime<Utc> {
    let millis = message.timestamp().to_millis();
    millis
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_else(Utc::now)
}

/// What the handler made of a batch.
#[derive(Default)]
pub(crate) struct HandlerOutput {
    /// The events to publish, in order. Each with the index of its work; the events of a handler without an outcome for each
    /// work have the index of the first work of their call.
    pub(crate) events: Vec<(usize, Envelope)>,
    /// The records that turned out to be poison, by their index in the work given.
    pub(crate) poison: Vec<(usize, Poison)>,
    /// The works that failed for now, or were not tried.
    pub(crate) failed: Vec<FailedForNow>,
}

/// A work that failed for now.
pub(crate) struct FailedForNow {
    /// The index of the work.
    pub(crate) work: usize,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// Why it failed. `None` if it was not tried.
    pub(crate) cause: Option<String>,
}

impl FailedForNow {
    pub(crate) fn was_tried(&self) -> bool {
        self.cause.is_some()
    }
}

impl HandlerOutput {
    fn add(&mut self, first: usize, applied: Applied) {
        let outcomes = match applied {
            Applied::Events(events) => {
                let events = events.into_iter().map(|event| (first, event));
                return self.events.extend(events);
            }
            Applied::Each(outcomes) => outcomes,
        };
        for (index, outcome) in outcomes.into_iter().enumerate() {
            let work = first + index;
            let (attempts, cause) = match outcome {
                Outcome::Done(event) => {
                    self.events.push((work, event));
                    continue;
                }
                Outcome::FailedForNow(cause) => (1, Some(cause)),
                Outcome::NotTried => (0, None),
            };
            self.failed.push(FailedForNow {
                work,
                attempts,
                cause,
            });
        }
    }

    /// Adds what became of these failed works when they were applied again. `output` counts them from 0.
    pub(crate) fn add_retried(&mut self, failed: &[FailedForNow], output: Self) {
        let before = |index: usize| {
            failed
                .get(index)
                .map_or((0, 0), |one| (one.work, one.attempts))
        };
        let events = output.events.into_iter();
        self.events
            .extend(events.map(|(index, event)| (before(index).0, event)));
        let poison = output.poison.into_iter();
        self.poison
            .extend(poison.map(|(index, poison)| (before(index).0, poison)));
        for again in output.failed {
            let (work, attempts) = before(again.work);
            let cause = failed.get(again.work).and_then(|one| one.cause.clone());
            self.failed.push(FailedForNow {
                work,
                attempts: attempts + again.attempts,
                cause: again.cause.or(cause),
            });
        }
    }

    /// Puts the events into the order of the work.
    pub(crate) fn sort(&mut self) {
        self.events.sort_by_key(|(work, _)| *work);
    }
}

/// Applies a batch. When the database refuses a value or the handler panics, halves the batch until the one record is found
/// that is the cause. All other records are applied.
pub(crate) async fn apply_isolating_poison<H: Handler>(
    handler: &H,
    work: &[&H::Work],
) -> Result<HandlerOutput, Failure> {
    let mut output = HandlerOutput::default();
    // The parts still to apply, the next one last.
    let mut parts = Vec::new();
    parts.push(0..work.len());
    while let Some(part) = parts.pop() {
        let slice = work.get(part.clone()).unwrap_or_default();
        match call_handler(handler, slice).await? {
            Ok(applied) => output.add(part.start, applied),
            Err(poison) if part.len() == 1 => output.poison.push((part.start, poison)),
            Err(_) => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
        }
    }
    Ok(output)
}

/// One call of the handler: what it made of the work, or the poison that a single record of this work would be.
async fn call_handler<H: Handler>(
    handler: &H,
    work: &[&H::Work],
) -> Result<Result<Applied, Poison>, Failure> {
    if work.is_empty() {
        return Ok(Ok(Applied::Events(Vec::new())));
    }
    match AssertUnwindSafe(handler.apply(work)).catch_unwind().await {
        Ok(Ok(applied)) => Ok(Ok(applied)),
        Ok(Err(Failure::BadValue { source, .. })) => {
            Ok(Err(Poison::new(PoisonClass::Database, source.to_string())))
        }
        Ok(Err(retryable @ Failure::Retryable { .. })) => Err(retryable),
        Err(panic) => Ok(Err(panicked(&*panic))),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Poison {
    Poison::new(PoisonClass::Panic, panic_text(panic))
}
