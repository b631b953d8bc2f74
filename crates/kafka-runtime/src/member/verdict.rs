//! What becomes of each record of a batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use shared_events::{Decoded, Envelope, Poison, PoisonClass};

use crate::dead_letter::{Header, is_for_another_group};
use crate::handler::{Failure, Handler};

/// What becomes of one record.
pub(crate) enum Verdict<W> {
    /// It means something to the service.
    Work(W),
    /// It is a sound event, but not for this service or this group.
    NotForUs(Skipped),
    /// It can never be taken.
    Poison(Poison),
}

/// Why a sound record was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// An event this service does not answer.
    NotOurs,
    /// An event of a type that nobody here knows: a newer service's perhaps.
    UnknownType,
    /// A dead letter replayed for another group of the topic, which had not taken it.
    ReplayedForAnother,
}

/// The record's headers, as the decoders of events and dead letters take them. rdkafka panics on a name that is not UTF-8, and
/// has no other way to look at it.
pub(super) fn headers<'m>(message: &'m BorrowedMessage<'_>) -> Result<Vec<Header<'m>>, Poison> {
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

/// The record's own time; now for a record without one, which only clients older than Kafka 0.10 write.
fn timestamp(message: &BorrowedMessage<'_>) -> DateTime<Utc> {
    let millis = message.timestamp().to_millis();
    millis
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_else(Utc::now)
}

/// The pure part: what the record means, or why it never can. A panic here is the record's fault, since nothing else went in.
pub(crate) fn read<H: Handler>(
    handler: &H,
    group: &str,
    message: &BorrowedMessage<'_>,
) -> Verdict<H::Work> {
    let headers = match headers(message) {
        Ok(headers) => headers,
        Err(poison) => return Verdict::Poison(poison),
    };
    if is_for_another_group(headers.iter().copied(), group) {
        return Verdict::NotForUs(Skipped::ReplayedForAnother);
    }
    let meaning =
        || match Envelope::decode(message.key(), headers.iter().copied(), message.payload())? {
            Decoded::UnknownType(_) => Ok(Verdict::NotForUs(Skipped::UnknownType)),
            Decoded::Event(envelope) => Ok(match handler.read(*envelope, timestamp(message))? {
                Some(work) => Verdict::Work(work),
                None => Verdict::NotForUs(Skipped::NotOurs),
            }),
        };
    match catch_unwind(AssertUnwindSafe(meaning)) {
        Ok(verdict) => verdict.unwrap_or_else(Verdict::Poison),
        Err(panic) => Verdict::Poison(panicked(&*panic)),
    }
}

/// What a handler made of a batch.
#[derive(Default)]
pub(crate) struct Applied {
    /// The events to tell, in order.
    pub(crate) events: Vec<Envelope>,
    /// The records that turned out to be poison when they came alone, by their place in the work given.
    pub(crate) poison: Vec<(usize, Poison)>,
}

/// Has the effect of a batch. When a value is refused or the handler panics, the batch is halved until the one record is found
/// that is the cause; all others have their effect.
pub(crate) async fn apply<H: Handler>(handler: &H, work: &[&H::Work]) -> Result<Applied, Failure> {
    let mut applied = Applied::default();
    // The parts still to do, the next one last.
    let mut parts = Vec::new();
    parts.push(0..work.len());
    while let Some(part) = parts.pop() {
        let slice = work.get(part.clone()).unwrap_or_default();
        match attempt(handler, slice).await? {
            Ok(events) => applied.events.extend(events),
            Err(poison) if part.len() == 1 => applied.poison.push((part.start, poison)),
            Err(_) => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
        }
    }
    Ok(applied)
}

/// One call of the handler: its events, or what would make the record poison if it came alone.
async fn attempt<H: Handler>(
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
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Poison::new(
        PoisonClass::Panic,
        text.unwrap_or_else(|| "the handler panicked".to_owned()),
    )
}
