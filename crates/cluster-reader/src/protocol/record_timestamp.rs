//! The timestamp of the first readable record, and the number of records in a part of a batch.

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

/// The number of records from one offset to another, exclusive. `None` if the batch cannot be read.
pub(super) fn count_between(batch: &Batch, from: i64, end: i64) -> Option<i64> {
    let count = |bytes: &[u8]| {
        let mut reader = ByteReader(bytes);
        let mut found = 0;
        for _ in 0..batch.count {
            let (_, offset) = next_record(&mut reader, batch)?;
            found += i64::from((from..end).contains(&offset));
        }
        Some(found)
    };
    decompress(batch.codec(), batch.body, count).flatten()
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
        let (timestamp, offset) = next_record(&mut reader, batch)?;
        if offset >= from {
            return Some(at(timestamp));
        }
    }
    Some(Oldest::NotReached)
}

/// The timestamp and the offset of a record; `None` if the bytes are not a valid record.
fn next_record(reader: &mut ByteReader, batch: &Batch) -> Option<(i64, i64)> {
    let length = usize::try_from(reader.varint()?).ok()?;
    let mut record = ByteReader(reader.take(length)?);
    let _attributes = record.byte()?;
    let timestamp = batch.base_timestamp.checked_add(record.varint()?)?;
    let offset = batch.base.checked_add(record.varint()?)?;
    Some((timestamp, offset))
}
