//! What was counted of a partition's log, kept from one poll to the next. The counts of a range are
//! sums, so each batch is fetched once, however often the committed offset advances.

use std::collections::BTreeMap;

use crate::LagCount;
use crate::lag::RecordsWritten;
use crate::protocol::batch_walk::Counts;

/// The size of a block in bytes of the log, unless one batch is larger. To count from an offset
/// inside a block, its rest is fetched again.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// The most blocks of a partition, unless there are many gaps: 64 MB of log at [`BLOCK_BYTES`]. Of a
/// longer backlog the blocks are larger.
const MOST_BLOCKS: usize = 1_024;

/// Adjacent batches.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The first offset after the block.
    end: i64,
    counts: Counts,
    bytes: usize,
}

/// The counts of a log as blocks, possibly with gaps, and the number of records since an origin.
#[derive(Debug)]
pub(super) struct CountedLog {
    origin: u64,
    /// Records from here on are counted in `blocks`, those from the origin to here in `written`.
    base: i64,
    written: i64,
    /// By first offset.
    blocks: BTreeMap<i64, Block>,
    /// The size of a block: more than [`BLOCK_BYTES`] if the log is long.
    block_bytes: usize,
}

/// What is known of the offsets of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RangeCount {
    pub records: LagCount,
    /// Lower bounds, unless all blocks are whole.
    pub control: i64,
    pub aborted: i64,
    pub removed: i64,
}

impl CountedLog {
    /// Nothing is counted yet. The origin is at `base`.
    pub fn new(origin: u64, base: i64) -> Self {
        Self {
            origin,
            base,
            written: 0,
            blocks: BTreeMap::new(),
            block_bytes: BLOCK_BYTES,
        }
    }

    /// Moves the origin, because the records since the old one cannot be counted any more.
    pub fn restart(&mut self, origin: u64, base: i64) {
        (self.origin, self.base, self.written) = (origin, base, 0);
    }

    /// Adds the counts of `start..end`, which must be in a gap. A small block is extended, but not
    /// beyond `base`: what was written since the origin is counted apart.
    pub fn add(&mut self, start: i64, end: i64, counts: Counts, bytes: usize) {
        if let Some((_, last)) = self.blocks.range_mut(..start).next_back()
            && last.end == start
            && start != self.base
            && last.bytes.saturating_add(bytes) <= self.block_bytes
        {
            last.end = end;
            last.counts += counts;
            last.bytes += bytes;
            return;
        }
        self.blocks.insert(start, Block { end, counts, bytes });
        if self.blocks.len() > MOST_BLOCKS {
            self.block_bytes = self.block_bytes.saturating_mul(2);
            self.join_small_blocks();
        }
    }

    /// Joins adjacent blocks up to the size of a block, except at gaps and at `base`.
    fn join_small_blocks(&mut self) {
        let mut last: Option<(i64, Block)> = None;
        for (start, block) in std::mem::take(&mut self.blocks) {
            if let Some((_, before)) = &mut last
                && before.end == start
                && start != self.base
                && before.bytes.saturating_add(block.bytes) <= self.block_bytes
            {
                before.end = block.end;
                before.counts += block.counts;
                before.bytes += block.bytes;
            } else {
                self.blocks.extend(last.replace((start, block)));
            }
        }
        self.blocks.extend(last);
    }

    /// The first offset from `from` on that is in no block.
    pub fn gap_from(&self, from: i64) -> i64 {
        let before = self.blocks.range(..=from).next_back();
        let mut reached = before.map_or(from, |(_, block)| block.end.max(from));
        for (start, block) in self.blocks.range(from..) {
            if *start > reached {
                break;
            }
            reached = reached.max(block.end);
        }
        reached
    }

    /// The first offset after `from` at which a block begins or ends.
    pub fn boundary_after(&self, from: i64) -> Option<i64> {
        let ends = self.blocks.range(..=from).next_back();
        let ends = ends.map(|(_, block)| block.end).filter(|end| *end > from);
        ends.or_else(|| {
            self.blocks
                .range(from + 1..)
                .next()
                .map(|(start, _)| *start)
        })
    }

    /// The end and the counts of the block that begins at this offset.
    pub fn block_at(&self, start: i64) -> Option<(i64, Counts)> {
        let block = self.blocks.get(&start)?;
        Some((block.end, block.counts))
    }

    /// The size in bytes of the block that the offset is inside of, and not at its start.
    pub fn inside_block(&self, offset: i64) -> Option<usize> {
        let (_, before) = self.blocks.range(..offset).next_back()?;
        (before.end > offset).then_some(before.bytes)
    }

    /// The counts of `from..to`. Of a block that is only partly in the range, and of a gap, there
    /// are bounds.
    pub fn count(&self, from: i64, to: i64) -> RangeCount {
        let mut all = RangeCount::default();
        let mut reached = from;
        let first = self.blocks.range(..from).next_back();
        let first = first.filter(|(_, block)| block.end > from);
        for (start, block) in first
            .into_iter()
            .chain(self.blocks.range(from..to.max(from)))
        {
            all.add_unknown(start - reached);
            let (begin, end) = (from.max(*start), to.min(block.end));
            reached = block.end;
            if begin == *start && end == block.end {
                all.add_counted(block.counts);
                continue;
            }
            let records = block.counts.records;
            let inside = end - begin;
            let others = block.counts.offsets() - records;
            let bounds = LagCount::between(inside - others, records.min(inside));
            all.records = all.records + bounds;
        }
        all.add_unknown(to - reached);
        all
    }

    /// The number of records from the origin to `end`; `None` if there is a gap.
    pub fn written(&self, end: i64) -> Option<RecordsWritten> {
        let records = self.count(self.base, end).records.exact()?;
        Some(RecordsWritten {
            origin: self.origin,
            records: self.written + records,
        })
    }

    /// The first offset since the origin that was not counted.
    pub fn written_to(&self) -> i64 {
        self.gap_from(self.base)
    }

    /// Forgets the blocks before the offset. Their records stay part of [`CountedLog::written`].
    pub fn forget_before(&mut self, offset: i64) {
        let offset = offset.min(self.written_to());
        while let Some(first) = self.blocks.first_entry() {
            if first.get().end > offset {
                break;
            }
            let (start, block) = first.remove_entry();
            if start >= self.base {
                self.written += block.counts.records;
                self.base = block.end;
            }
        }
        if self.blocks.is_empty() {
            self.block_bytes = BLOCK_BYTES;
        }
    }
}

impl RangeCount {
    fn add_counted(&mut self, counts: Counts) {
        self.records = self.records + LagCount::of(counts.records);
        self.control += counts.control;
        self.aborted += counts.aborted;
        self.removed += counts.removed;
    }

    /// Adds offsets of which nothing is known.
    fn add_unknown(&mut self, offsets: i64) {
        self.records = self.records + LagCount::between(0, offsets.max(0));
    }

    /// With counts of other offsets.
    pub fn with(mut self, counts: Counts) -> Self {
        self.add_counted(counts);
        self
    }
}

#[cfg(test)]
mod tests;
