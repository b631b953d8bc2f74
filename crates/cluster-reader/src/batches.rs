//! What lies in a stretch of a partition's log: a walk over the headers of its batches (magic 2, KIP-98). Clients wrote them, so they
//! may be anything.

use std::collections::HashSet;

use crate::input::Input;
use crate::records::{self, Oldest};

/// One batch of records: its header, and the records as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    /// Offset of its first record when it was written.
    pub base: i64,
    /// Offset of its last.
    pub last: i64,
    /// Bits: 0–2 the codec, 3 log-append time, 4 transactional, 5 control, 6 the base timestamp is a delete horizon.
    pub attributes: i16,
    /// What the records' timestamps are counted from, milliseconds.
    pub base_timestamp: i64,
    /// The newest timestamp, milliseconds.
    pub max_timestamp: i64,
    /// Who wrote it, if idempotent.
    pub producer_id: i64,
    /// Records that are left: compaction takes some.
    pub count: i32,
    /// The records, compressed or not.
    pub body: &'a [u8],
}

impl Batch<'_> {
    fn is_transactional(&self) -> bool {
        self.attributes & (1 << 4) != 0
    }

    fn is_control(&self) -> bool {
        self.attributes & (1 << 5) != 0
    }

    /// How many of its offsets lie between these two.
    fn between(&self, from: i64, end: i64) -> i64 {
        let first = self.base.max(from);
        let after = self.last.saturating_add(1).min(end);
        after.saturating_sub(first).max(0)
    }
}

/// The complete batches at the front. It ends at the first that is cut, or is none.
#[derive(Debug, Clone, Copy)]
struct Batches<'a> {
    left: Input<'a>,
    /// Offsets only grow.
    next: i64,
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let mut input = self.left;
        let base = input.int64()?;
        let length = usize::try_from(input.int32()?).ok()?;
        let mut batch = Input(input.take(length)?);
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
        (self.left, self.next) = (input, last.checked_add(1)?);
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

/// What a walk found between two offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Everything before this offset was seen.
    pub reached: i64,
    /// Commit and abort markers.
    pub control: i64,
    /// Records of aborted transactions.
    pub aborted: i64,
    /// The timestamp of the first record that a `read_committed` consumer would get.
    pub oldest: Oldest,
}

/// Walks over what Fetch returned for the offsets from `from` up to `end`. `aborted` are the transactions that Fetch says were
/// aborted: producer and first offset. `seek_oldest`: whether the oldest readable record is still wanted, since that may mean to
/// decompress.
pub(crate) fn walk(
    bytes: &[u8],
    aborted: &[(i64, i64)],
    from: i64,
    end: i64,
    seek_oldest: bool,
) -> Found {
    let mut transactions = Transactions::new(aborted);
    let mut found = Found {
        reached: from,
        control: 0,
        aborted: 0,
        oldest: Oldest::NotThere,
    };
    let batches = Batches {
        left: Input(bytes),
        next: 0,
    };
    for batch in batches.take_while(|batch| batch.base < end) {
        let is_aborted = transactions.pass(&batch);
        let count = batch.between(from, end);
        if batch.is_control() {
            found.control += count;
        } else if is_aborted {
            found.aborted += count;
        } else if count > 0 && seek_oldest && found.oldest == Oldest::NotThere {
            found.oldest = records::oldest(&batch, from);
        }
        found.reached = found.reached.max(batch.last.saturating_add(1).min(end));
    }
    found
}

/// Which producers are within an aborted transaction, while one walks.
struct Transactions {
    /// Producer and first offset, the last one first.
    to_come: Vec<(i64, i64)>,
    open: HashSet<i64>,
}

impl Transactions {
    fn new(aborted: &[(i64, i64)]) -> Self {
        let mut to_come = aborted.to_vec();
        to_come.sort_by_key(|(_, first)| std::cmp::Reverse(*first));
        Self {
            to_come,
            open: HashSet::new(),
        }
    }

    /// Goes on behind the batch; says whether its records were aborted.
    fn pass(&mut self, batch: &Batch) -> bool {
        while let Some((producer, _)) = self.to_come.pop_if(|(_, first)| *first <= batch.last) {
            self.open.insert(producer);
        }
        if batch.is_control() {
            self.open.remove(&batch.producer_id);
        }
        batch.is_transactional() && !batch.is_control() && self.open.contains(&batch.producer_id)
    }
}

#[cfg(test)]
mod tests;
