//! The unread records from a committed offset to the next boundary of the counted blocks.

use chrono::{DateTime, Utc};

use crate::protocol::batch_walk::{Counts, Walk, WalkedBatch};
use crate::protocol::record_timestamp::Oldest;
use crate::reader::counted_log::{BLOCK_BYTES, CountedLog};

/// The unread records from an offset on.
#[derive(Debug)]
pub(super) struct Head {
    /// Whether only the first record is wanted.
    pub any_record: bool,
    /// All offsets before this one are in `counts`.
    pub reached: i64,
    pub counts: Counts,
    bytes: usize,
    oldest: Oldest,
}

impl Head {
    pub fn new(from: i64, any_record: bool) -> Self {
        Self {
            any_record,
            reached: from,
            counts: Counts::default(),
            bytes: 0,
            oldest: Oldest::NotReached,
        }
    }

    /// Takes over counted blocks without a record: the first readable record is after them.
    pub fn absorb(&mut self, log: &CountedLog, last_stable: i64) {
        while self.oldest == Oldest::NotReached
            && let Some((end, counts)) = log.block_at(self.reached)
            && counts.records == 0
            && end <= last_stable
        {
            self.reached = end;
            self.counts += counts;
        }
    }

    /// Whether more of the head is to be fetched. It ends where a block begins, or when it is as
    /// large as a block, but not before its first readable record.
    pub fn is_short(&self, log: &CountedLog, last_stable: i64) -> bool {
        if self.reached >= last_stable || (self.any_record && self.oldest != Oldest::NotReached) {
            return false;
        }
        self.oldest == Oldest::NotReached
            || log.inside_block(self.reached).is_some()
            || (log.block_at(self.reached).is_none() && self.bytes < BLOCK_BYTES / 2)
    }

    pub fn add(&mut self, walk: Walk<'_>) -> bool {
        let mut has_advanced = false;
        for batch in walk {
            has_advanced = true;
            self.add_batch(&batch);
        }
        has_advanced
    }

    fn add_batch(&mut self, batch: &WalkedBatch<'_>) {
        self.reached = batch.end;
        self.counts += batch.counts;
        self.bytes = self.bytes.saturating_add(batch.bytes);
        if self.oldest == Oldest::NotReached {
            self.oldest = batch.oldest();
        }
    }

    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        match self.oldest {
            Oldest::At(timestamp) => DateTime::from_timestamp_millis(timestamp),
            Oldest::NotReached | Oldest::Unknown => None,
        }
    }
}
