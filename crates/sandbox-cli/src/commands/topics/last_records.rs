//! The last records of each partition, within a memory limit.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Result, bail};
use kafka_admin::records::Record;

/// The memory of a record besides its bytes: about fifteen allocations and the pointers to them.
const OVERHEAD: usize = 500;

/// The last `count` records of each partition.
pub(super) struct LastRecords {
    count: usize,
    records: BTreeMap<i32, VecDeque<Record>>,
    bytes: usize,
}

impl LastRecords {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            records: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Adds a record; removes the oldest one of its partition if there are more than `count`. Fails if all records together
    /// take more than `most` bytes.
    pub(super) fn add(&mut self, record: Record, most: usize) -> Result<()> {
        self.bytes += size(&record);
        let kept = self.records.entry(record.partition).or_default();
        kept.push_back(record);
        if kept.len() > self.count
            && let Some(oldest) = kept.pop_front()
        {
            self.bytes -= size(&oldest);
        }
        if self.bytes > most {
            bail!(
                "the last {} records of each partition are more than {} MB: ask for fewer with -n, or use --from, which prints each record at once",
                self.count,
                most >> 20
            );
        }
        Ok(())
    }

    /// Whether the partition has `count` records.
    pub(super) fn is_full(&self, partition: i32) -> bool {
        let kept = self.records.get(&partition);
        kept.is_some_and(|kept| kept.len() >= self.count)
    }

    /// The last `count` records of all partitions together, sorted by time.
    pub(super) fn into_sorted(self) -> Vec<Record> {
        let mut records: Vec<Record> = self.records.into_values().flatten().collect();
        records.sort_by_key(|record| (record.timestamp_ms, record.partition, record.offset));
        records.split_off(records.len().saturating_sub(self.count))
    }
}

/// The approximate memory of a record, in bytes.
fn size(record: &Record) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter().flatten();
    let headers: usize = headers
        .map(|(name, value)| name.len() + length(value))
        .sum();
    length(&record.key) + length(&record.value) + headers + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::record_text::tests::hostile_record as record;

    #[test]
    fn the_last_records_of_each_partition_are_kept_within_the_limit() {
        let one = size(&record(0, 0, "value"));
        let mut kept = LastRecords::new(2);
        for offset in 0..100 {
            kept.add(record(0, offset, "value"), 3 * one).unwrap();
        }
        kept.add(record(1, 0, "value"), 3 * one).unwrap();
        assert!(kept.is_full(0) && !kept.is_full(1) && !kept.is_full(2));
        let offsets: Vec<i64> = kept.records[&0].iter().map(|one| one.offset).collect();
        assert_eq!((offsets, kept.bytes), (vec![98, 99], 3 * one));
        let refused = kept.add(record(1, 1, "value"), 3 * one).unwrap_err();
        assert!(refused.to_string().contains("fewer with -n"), "{refused}");
    }
}
