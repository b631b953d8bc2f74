//! The timestamp of the first readable record.

use super::byte_reader::ByteReader;
use super::decompress::decompress;
use super::record_batch::Batch;

/// The oldest readable record of a log, as far as it was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oldest {
    /// Its timestamp, in milliseconds.
    At(i64),
    /// The scan has not reached a readable record.
    NotReached,
    /// The record has no timestamp, or its batch cannot be read.
    Unknown,
}

/// The first record of the batch from this offset on. The header has the timestamp of the batch's
/// first record; for a later record the batch is decompressed.
pub(super) fn first_from(batch: &Batch, from: i64) -> Oldest {
    if batch.count == 0 {
        return Oldest::NotReached;
    }
    if batch.has_log_append_time() {
        return at(batch.max_timestamp);
    }
    let is_whole = i64::from(batch.count) == batch.last - batch.base + 1;
    if from <= batch.base && is_whole && !batch.has_delete_horizon() {
        return at(batch.base_timestamp);
    }
    let found = decompress(batch.codec(), batch.body, |records| {
        search(records, batch, from)
    });
    found.flatten().unwrap_or(Oldest::Unknown)
}

/// A record without a timestamp has -1.
fn at(timestamp: i64) -> Oldest {
    match timestamp {
        0.. => Oldest::At(timestamp),
        _ => Oldest::Unknown,
    }
}

/// `None` if the bytes are not valid records.
fn search(bytes: &[u8], batch: &Batch, from: i64) -> Option<Oldest> {
    let mut reader = ByteReader(bytes);
    for _ in 0..batch.count {
        let length = usize::try_from(reader.varint()?).ok()?;
        let mut record = ByteReader(reader.take(length)?);
        let _attributes = record.byte()?;
        let timestamp = batch.base_timestamp.checked_add(record.varint()?)?;
        if batch.base.checked_add(record.varint()?)? >= from {
            return Some(at(timestamp));
        }
    }
    Some(Oldest::NotReached)
}
