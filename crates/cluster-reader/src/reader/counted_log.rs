//! What was counted of a partition's log, kept from one poll to the next. The counts of a range are
//! sums, so each batch is fetched once, however often the committed offset advances.

use std::collections::BTreeMap;

use crate::LagCount;
use crate::lag::RecordsWritten;
use crate::protocol::batch_walk::Counts;

/// The size of a block in bytes of the log, unless one batch is larger. To count from an offset
/// inside a block, its rest is fetched again.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// Adjacent batches. 100 000 records of 600 bytes are about 1 000 blocks.
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
        }
    }

    /// Moves the origin, because the records since the old one cannot be counted any more.
    pub fn restart(&mut self, origin: u64, base: i64) {
        (self.origin, self.base, self.written) = (origin, base, 0);
    }

    /// The number of blocks.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Adds the counts of `start..end`, which must be in a gap. A small block is extended, but not
    /// beyond `base`: what was written since the origin is counted apart.
    pub fn add(&mut self, start: i64, end: i64, counts: Counts, bytes: usize) {
        if let Some((_, last)) = self.blocks.range_mut(..start).next_back()
            && last.end == start
            && start != self.base
            && last.bytes.saturating_add(bytes) <= BLOCK_BYTES
        {
            last.end = end;
            last.counts += counts;
            last.bytes += bytes;
            return;
        }
        self.blocks.insert(start, Block { end, counts, bytes });
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

    /// Whether the offset is inside a block, and not at its start.
    pub fn is_inside_block(&self, offset: i64) -> bool {
        let before = self.blocks.range(..offset).next_back();
        before.is_some_and(|(_, block)| block.end > offset)
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(records: i64, control: i64) -> Counts {
        Counts {
            records,
            control,
            ..Counts::default()
        }
    }

    #[test]
    fn a_gap_and_a_part_of_a_block_have_bounds() {
        let mut log = CountedLog::new(1, 0);
        log.add(0, 10, records(6, 4), BLOCK_BYTES);
        log.add(20, 30, records(9, 1), BLOCK_BYTES);
        let counted = |from, to| log.count(from, to).records;
        assert_eq!(counted(0, 10), LagCount::of(6));
        assert_eq!(counted(0, 30), LagCount::between(15, 25));
        assert_eq!(counted(22, 30), LagCount::between(7, 8));
        assert_eq!(counted(0, 3), LagCount::between(0, 3));
        assert_eq!(counted(12, 18), LagCount::between(0, 6));
        assert_eq!(
            (log.gap_from(0), log.gap_from(25), log.gap_from(15)),
            (10, 30, 15)
        );
        let boundaries = [0, 10, 15, 25, 30].map(|at| log.boundary_after(at));
        assert_eq!(boundaries, [Some(10), Some(20), Some(20), Some(30), None]);
    }

    #[test]
    fn forgotten_blocks_stay_counted_as_written() {
        let mut log = CountedLog::new(7, 5);
        let written = |log: &CountedLog, end| log.written(end).map(|one| (one.origin, one.records));
        log.add(0, 5, records(5, 0), BLOCK_BYTES);
        log.add(5, 15, records(6, 4), BLOCK_BYTES);
        log.add(25, 30, records(5, 0), BLOCK_BYTES);
        assert_eq!(written(&log, 15), Some((7, 6)));
        assert_eq!(written(&log, 30), None);
        log.forget_before(30);
        assert_eq!((written(&log, 15), log.len()), (Some((7, 6)), 1));
        log.add(15, 25, records(10, 0), 10);
        assert_eq!(written(&log, 30), Some((7, 21)));
        log.restart(8, 25);
        assert_eq!(written(&log, 30), Some((8, 5)));
    }

    #[test]
    fn small_blocks_are_joined() {
        let mut log = CountedLog::new(1, 0);
        for start in 0..100_000 {
            log.add(start, start + 1, records(1, 0), 600);
        }
        assert!(log.len() < 1_000, "{}", log.len());
        assert_eq!(log.count(0, 100_000).records, LagCount::of(100_000));
    }

    proptest! {
        /// The model is a list with one entry for each offset: unknown, or whether it is a record.
        #[test]
        fn the_bounds_hold_for_any_blocks(
            pieces in prop::collection::vec((1i64..9, 0i64..9, any::<bool>(), 0usize..40_000), 0..20),
            from in 0i64..100, length in 0i64..100,
        ) {
            let mut log = CountedLog::new(1, 0);
            let mut model = Vec::new();
            for (offsets, some, is_counted, bytes) in pieces {
                let start = model.len() as i64;
                let found = some.min(offsets);
                model.extend((0..offsets).map(|one| is_counted.then_some(one < found)));
                if is_counted {
                    log.add(start, start + offsets, records(found, offsets - found), bytes);
                }
            }
            let counted = log.count(from, from + length).records;
            let mut bounds = (0, 0);
            for offset in from..from + length {
                match model.get(offset as usize).copied().flatten() {
                    Some(true) => bounds = (bounds.0 + 1, bounds.1 + 1),
                    Some(false) => {}
                    None => bounds.1 += 1,
                }
            }
            prop_assert!(counted.lower() <= bounds.0, "{counted} {bounds:?}");
            prop_assert!(counted.upper() >= bounds.1, "{counted} {bounds:?}");
            let whole = log.count(0, model.len() as i64).records;
            let known = model.iter().filter(|one| **one == Some(true)).count() as i64;
            let unknown = model.iter().filter(|one| one.is_none()).count() as i64;
            prop_assert_eq!(whole, LagCount::between(known, known + unknown));
        }
    }
}
