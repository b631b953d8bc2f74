//! The timestamp of a record within a batch.

use crate::batches::Batch;
use crate::input::Input;
use crate::unpacked::unpacked;

/// What is known of the oldest readable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oldest {
    /// Its timestamp, milliseconds.
    At(i64),
    /// It is further on.
    NotThere,
    /// It is there, but has no timestamp that can be read.
    Unknown,
}

/// The first record of the batch from this offset on. Only if it is not the batch's own first must the batch be decompressed.
pub(crate) fn oldest(batch: &Batch, from: i64) -> Oldest {
    let log_append = batch.attributes & (1 << 3) != 0;
    let horizon = batch.attributes & (1 << 6) != 0;
    let complete = i64::from(batch.count) == batch.last - batch.base + 1;
    match () {
        () if batch.count == 0 => Oldest::NotThere,
        () if log_append => known(batch.max_timestamp),
        () if from <= batch.base && complete && !horizon => known(batch.base_timestamp),
        () => unpacked(batch.attributes & 7, batch.body, |bytes| {
            search(bytes, batch, from)
        })
        .flatten()
        .unwrap_or(Oldest::Unknown),
    }
}

/// A record may have none: -1.
fn known(timestamp: i64) -> Oldest {
    match timestamp {
        0.. => Oldest::At(timestamp),
        _ => Oldest::Unknown,
    }
}

/// `None`: these are no records.
fn search(bytes: &[u8], batch: &Batch, from: i64) -> Option<Oldest> {
    let mut input = Input(bytes);
    for _ in 0..batch.count {
        let length = usize::try_from(input.varint()?).ok()?;
        let mut record = Input(input.take(length)?);
        let _attributes = record.byte()?;
        let timestamp = batch.base_timestamp.checked_add(record.varint()?)?;
        if batch.base.checked_add(record.varint()?)? >= from {
            return Some(known(timestamp));
        }
    }
    Some(Oldest::NotThere)
}
