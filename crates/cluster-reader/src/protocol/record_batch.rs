//! Headers of record batches (magic 2, KIP-98).

use super::byte_reader::ByteReader;

/// From the base offset to the number of records.
const HEADER_BYTES: usize = 61;

/// The header of a batch, and its records as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    /// The offset of the first record at the time the batch was written.
    pub base: i64,
    /// The offset of the last record at the time the batch was written.
    pub last: i64,
    /// Bits 0–2: codec; 3: log-append time; 4: transactional; 5: control batch; 6: the base
    /// timestamp is a delete horizon.
    pub attributes: i16,
    /// Milliseconds. The timestamps of records are relative to it.
    pub base_timestamp: i64,
    /// The newest timestamp, in milliseconds.
    pub max_timestamp: i64,
    pub producer_id: i64,
    /// Records that compaction has left.
    pub count: i32,
    /// The records, possibly compressed.
    pub body: &'a [u8],
}

impl Batch<'_> {
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub fn codec(&self) -> i16 {
        self.attributes & 7
    }

    pub fn has_log_append_time(&self) -> bool {
        self.attributes & (1 << 3) != 0
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & (1 << 4) != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & (1 << 5) != 0
    }

    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & (1 << 6) != 0
    }

    /// The bytes of the batch, its header included.
    pub fn size(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// The number of offsets of the batch from `from` to `end`, exclusive.
    pub fn count_between(&self, from: i64, end: i64) -> i64 {
        let first = self.base.max(from);
        let after = self.last.saturating_add(1).min(end);
        after.saturating_sub(first).max(0)
    }
}

/// The complete batches at the front of the bytes. The iterator ends at the first batch that is cut
/// off or invalid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batches<'a> {
    left: ByteReader<'a>,
    /// The lowest offset that the next batch may have.
    next: i64,
}

impl<'a> Batches<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            left: ByteReader(bytes),
            next: 0,
        }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let mut reader = self.left;
        let base = reader.int64()?;
        let length = usize::try_from(reader.int32()?).ok()?;
        let mut batch = ByteReader(reader.take(length)?);
        let _leader_epoch = batch.int32()?;
        let magic = batch.byte()?;
        let _crc = batch.int32()?;
        let attributes = batch.int16()?;
        let last_delta = batch.int32()?;
        let base_timestamp = batch.int64()?;
        let max_timestamp = batch.int64()?;
        let producer_id = batch.int64()?;
        let _epoch_and_sequence = batch.take(6)?;
        let count = batch.int32()?;
        if magic != 2 || base < self.next || last_delta < 0 || count < 0 {
            return None;
        }
        let last = base.checked_add(last_delta.into())?;
        (self.left, self.next) = (reader, last.checked_add(1)?);
        Some(Batch {
            base,
            last,
            attributes,
            base_timestamp,
            max_timestamp,
            producer_id,
            count,
            body: batch.0,
        })
    }
}
