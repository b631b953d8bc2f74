//! The scan of one partition: what is to be fetched next, and what was counted. No I/O.
//!
//! Three things are wanted of a partition:
//!
//! * For each committed offset, the *head*: the batches from that offset to the next boundary of
//!   the counted blocks. Its first record has the timestamp of the oldest unread record.
//! * The blocks from each head to the last stable offset: the backlog.
//! * The blocks from the last stable offset of the first poll on: the records written since. Rates
//!   are made of them, also of a group that is caught up.

mod head;

use std::collections::{BTreeMap, BTreeSet};

use super::counted_log::{BLOCK_BYTES, CountedLog, RangeCount};
use crate::LagCount;
use crate::lag::{LogOffsets, RecordsWritten, UnreadScan, first_unread};
use crate::protocol::batch_walk::{Counts, Walk};
use head::Head;

/// What groups want to know of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A topic that was recreated under the same name has another id.
    pub topic_id: u128,
    pub log: LogOffsets,
    /// The committed offsets. They may be before the start of the log.
    pub committed: BTreeSet<i64>,
    /// Whether a group without a committed offset has the partition: it wants to know only whether
    /// there is any record.
    pub any_record: bool,
}

/// The next records to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextFetch {
    pub offset: i64,
    /// The most bytes to fetch.
    pub max_bytes: i32,
    /// Records from here on are not needed.
    end: i64,
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The head that begins at this offset.
    Head(i64),
    /// The blocks.
    Blocks,
}

/// The most bytes that are fetched at once for the blocks of a partition.
const BACKLOG_BYTES: i32 = 1 << 20;

/// The scan of one partition.
#[derive(Debug)]
pub(super) struct PartitionScan {
    topic_id: u128,
    offsets: LogOffsets,
    log: CountedLog,
    /// By first offset.
    heads: BTreeMap<i64, Head>,
}

impl PartitionScan {
    /// The first scan of the partition. Records that are written from now on are counted under this
    /// origin.
    pub fn new(origin: u64, wanted: &Wanted) -> Self {
        let mut scan = Self {
            topic_id: wanted.topic_id,
            offsets: wanted.log,
            log: CountedLog::new(origin, wanted.log.last_stable),
            heads: BTreeMap::new(),
        };
        scan.set_heads(wanted);
        scan
    }

    /// Goes on with the offsets of this poll. Returns whether it has used the origin.
    pub fn update(&mut self, origin: u64, wanted: &Wanted) -> bool {
        let before = self.offsets;
        // A log only grows, unless the topic was recreated.
        if self.topic_id != wanted.topic_id || wanted.log.last_stable < before.last_stable {
            *self = Self::new(origin, wanted);
            return true;
        }
        self.offsets = wanted.log;
        // What was deleted before it was counted is never counted.
        let is_lost = self.log.written_to() < wanted.log.log_start;
        if is_lost {
            self.log.restart(origin, wanted.log.last_stable);
        }
        self.set_heads(wanted);
        let needed = wanted.committed.first().copied();
        let needed = needed.unwrap_or(wanted.log.last_stable);
        let head = self.heads.keys().next().copied();
        self.log
            .forget_before(head.map_or(needed, |head| head.min(needed)));
        is_lost
    }

    /// Keeps the heads that are still wanted, also those whose first records were deleted: they
    /// count what was lost.
    fn set_heads(&mut self, wanted: &Wanted) {
        let (start, end) = (wanted.log.log_start, wanted.log.last_stable);
        let any_record = wanted.any_record.then_some(start);
        self.heads.retain(|from, head| match head.any_record {
            true => any_record == Some(*from),
            false => wanted.committed.contains(from),
        });
        let committed = wanted
            .committed
            .iter()
            .map(|committed| (*committed).max(start));
        for from in committed.filter(|from| *from < end) {
            let head = self.heads.entry(from).or_insert(Head::new(from, false));
            head.any_record = false;
        }
        if let Some(from) = any_record.filter(|from| *from < end) {
            self.heads.entry(from).or_insert(Head::new(from, true));
        }
    }

    /// What to fetch next; `None` if everything is counted.
    pub fn next_fetch(&mut self) -> Option<NextFetch> {
        let end = self.offsets.last_stable;
        for (from, head) in self.heads.range_mut(self.offsets.log_start..) {
            head.absorb(&self.log, end);
            if head.is_short(&self.log, end) {
                let boundary = self.log.boundary_after(head.reached);
                let block = self.log.inside_block(head.reached);
                let bytes = block.unwrap_or(0).max(BLOCK_BYTES);
                return Some(NextFetch {
                    offset: head.reached,
                    max_bytes: i32::try_from(bytes)
                        .map_or(BACKLOG_BYTES, |all| all.min(BACKLOG_BYTES)),
                    end: boundary.map_or(end, |boundary| boundary.min(end)),
                    target: Target::Head(*from),
                });
            }
        }
        let backlogs = self.heads.range(self.offsets.log_start..);
        let backlogs = backlogs.filter(|(_, head)| !head.any_record);
        let starts = backlogs.map(|(_, head)| head.reached);
        let written = std::iter::once(self.log.written_to());
        let mut gaps = written.chain(starts).map(|from| self.log.gap_from(from));
        let gap = gaps.find(|from| *from < end)?;
        let boundary = self.log.boundary_after(gap);
        Some(NextFetch {
            offset: gap,
            max_bytes: BACKLOG_BYTES,
            end: boundary.map_or(end, |boundary| boundary.min(end)),
            target: Target::Blocks,
        })
    }

    /// Adds received records. Returns whether the scan has advanced.
    pub fn add(&mut self, fetch: NextFetch, bytes: &[u8], aborted: &[(i64, i64)]) -> bool {
        let walk = Walk::new(bytes, aborted, fetch.offset, fetch.end);
        match fetch.target {
            Target::Head(from) => self.heads.get_mut(&from).is_some_and(|head| head.add(walk)),
            Target::Blocks => self.add_blocks(fetch.offset, walk),
        }
    }

    fn add_blocks(&mut self, mut start: i64, walk: Walk<'_>) -> bool {
        let (mut end, mut counts, mut bytes) = (start, Counts::default(), 0usize);
        let mut has_advanced = false;
        for batch in walk {
            has_advanced = true;
            end = batch.end;
            counts += batch.counts;
            bytes = bytes.saturating_add(batch.bytes);
            if bytes >= BLOCK_BYTES / 2 {
                self.log.add(start, end, counts, bytes);
                (start, counts, bytes) = (end, Counts::default(), 0);
            }
        }
        if start < end {
            self.log.add(start, end, counts, bytes);
        }
        has_advanced
    }

    /// What is unread after a committed offset, or in the whole log if none is committed.
    pub fn unread(&self, committed: Option<i64>) -> UnreadScan {
        let last_stable = self.offsets.last_stable;
        let start = first_unread(committed, self.offsets);
        let head = self.heads.get(&start);
        let reached = head.map_or(start, |head| head.reached);
        let rest = match start < last_stable {
            true => self.log.count(reached, last_stable),
            false => RangeCount::default(),
        };
        let RangeCount {
            records,
            control,
            aborted,
            removed,
        } = rest.with(head.map_or(Counts::default(), |head| head.counts));
        UnreadScan {
            readable: records,
            control_records: control,
            aborted_records: aborted,
            compacted: removed,
            lost: committed.map_or(LagCount::ZERO, |committed| self.lost(committed)),
            written: self.written(),
            oldest_readable: head.and_then(Head::oldest),
        }
    }

    /// The records from a committed offset to the start of the log, as far as they were counted
    /// before they were deleted.
    fn lost(&self, committed: i64) -> LagCount {
        let start = self.offsets.log_start;
        if committed >= start {
            return LagCount::ZERO;
        }
        match self.heads.get(&committed) {
            Some(head) if head.reached <= start => {
                let rest = self.log.count(head.reached, start);
                rest.with(head.counts).records
            }
            Some(head) => {
                let records = head.counts.records;
                let kept = head.reached - start;
                LagCount::between(records - kept, records.min(start - committed))
            }
            None => self.log.count(committed, start).records,
        }
    }

    fn written(&self) -> Option<RecordsWritten> {
        self.log.written(self.offsets.last_stable)
    }
}

#[cfg(test)]
mod tests;
