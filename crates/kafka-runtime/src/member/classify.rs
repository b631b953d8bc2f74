//! Classifying each record, and finding the record that makes a batch fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use shared_events::{Decoded, Envelope, Poison, PoisonClass};

use crate::dead_letter::{Header, is_for_another_group};
use crate::handler::{Failure, Handler, panic_text};
use crate::metrics::labels::SkipReason;

/// What is done with one record.
pub(crate) enum Classification<W> {
    /// It is work for the handler.
    Work(W),
    /// It is a valid event, but not for this service or this group.
    Skipped(SkipReason),
    /// It can never be processed.
    Poison(Poison),
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
    /// The events to publish, in order.
    pub(crate) events: Vec<Envelope>,
    /// The records that turned out to be poison, by their index in the work given.
    pub(crate) poison: Vec<(usize, Poison)>,
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
            Ok(events) => output.events.extend(events),
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

/// One call of the handler: its events, or the poison that a single record of this work would be.
async fn call_handler<H: Handler>(
    handler: &H,
    work: &[&H::Work],
) -> Result<Result<Vec<Envelope>, Poison>, Failure> {
    if work.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    match AssertUnwindSafe(handler.apply(work)).catch_unwind().await {
        Ok(Ok(events)) => Ok(Ok(events)),
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
