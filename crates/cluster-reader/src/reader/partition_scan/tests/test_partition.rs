//! A simulated partition, with a list of all its offsets as the model.

use crate::lag::LogOffsets;
use crate::protocol::test_log::{TestBatch, log, marker, plain, transactional};
use crate::reader::partition_scan::{NextFetch, PartitionScan, Wanted};

/// What is at an offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slot {
    Record,
    Aborted,
    Marker,
    Removed,
}

/// A partition on a broker.
#[derive(Default)]
pub struct TestPartition {
    pub batches: Vec<TestBatch>,
    pub slots: Vec<Slot>,
    /// Aborted transactions: producer, first offset, and the offset of the marker.
    pub aborted: Vec<(i64, i64, i64)>,
    pub log_start: i64,
    /// Bytes that were fetched.
    pub fetched: usize,
}

impl TestPartition {
    pub fn end(&self) -> i64 {
        self.slots.len() as i64
    }

    fn push(&mut self, batch: TestBatch, slot: Slot) {
        self.batches.push(batch);
        let kept = batch.count as usize;
        let offsets = batch.last_delta as usize + 1;
        self.slots.extend((0..offsets).map(|n| match n < kept {
            true => slot,
            false => Slot::Removed,
        }));
    }

    pub fn records(&mut self, count: i32, body_bytes: usize) {
        let batch = TestBatch {
            body_bytes,
            ..plain(self.end(), count)
        };
        self.push(batch, Slot::Record);
    }

    pub fn transaction(&mut self, count: i32, body_bytes: usize, is_aborted: bool) {
        let producer = 7;
        if is_aborted {
            let marker = self.end() + i64::from(count);
            self.aborted.push((producer, self.end(), marker));
        }
        let batch = TestBatch {
            body_bytes,
            ..transactional(producer, self.end(), count)
        };
        let slot = match is_aborted {
            true => Slot::Aborted,
            false => Slot::Record,
        };
        self.push(batch, slot);
        self.push(marker(producer, self.end()), Slot::Marker);
    }

    /// A batch that compaction has emptied.
    pub fn compacted(&mut self, offsets: i32) {
        let empty = TestBatch {
            count: 0,
            ..plain(self.end(), offsets)
        };
        self.push(empty, Slot::Removed);
    }

    /// As a broker answers: whole batches from the one with the offset on, at least one.
    fn fetch(&mut self, fetch: NextFetch) -> Vec<u8> {
        assert!(fetch.offset >= self.log_start, "OFFSET_OUT_OF_RANGE");
        let is_before = |batch: &TestBatch| batch.base + i64::from(batch.last_delta) < fetch.offset;
        let first = self.batches.partition_point(is_before);
        let mut bytes = Vec::new();
        for batch in &self.batches[first..] {
            let one = log(&[*batch]);
            if !bytes.is_empty() && bytes.len() + one.len() > fetch.max_bytes as usize {
                break;
            }
            bytes.extend(one);
        }
        self.fetched += bytes.len();
        bytes
    }

    pub fn wanted(&self, committed: &[i64]) -> Wanted {
        Wanted {
            topic_id: 1,
            log: LogOffsets {
                log_start: self.log_start,
                last_stable: self.end(),
                high_watermark: self.end(),
            },
            committed: committed.iter().copied().collect(),
            any_record: false,
        }
    }

    /// One poll, with a budget in bytes. Returns the bytes that it has fetched.
    pub fn poll(&mut self, scan: &mut PartitionScan, wanted: &Wanted, budget: usize) -> usize {
        scan.update(99, wanted);
        let before = self.fetched;
        while self.fetched - before < budget
            && let Some(fetch) = scan.next_fetch()
        {
            let bytes = self.fetch(fetch);
            let aborted = self.aborted.iter();
            let aborted = aborted.filter(|(_, _, marker)| *marker >= fetch.offset);
            let aborted: Vec<_> = aborted.map(|(id, first, _)| (*id, *first)).collect();
            assert!(scan.add(fetch, &bytes, &aborted), "no progress");
        }
        self.fetched - before
    }

    pub fn count(&self, from: i64, to: i64, slot: Slot) -> i64 {
        let slots = self.slots.iter().take(to.max(0) as usize);
        let found = slots.skip(from.max(0) as usize).filter(|one| **one == slot);
        found.count() as i64
    }

    pub fn readable(&self, committed: i64) -> i64 {
        self.count(committed.max(self.log_start), self.end(), Slot::Record)
    }
}
