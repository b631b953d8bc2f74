//! The definition of lag.
//!
//! The lag of a group on a partition is the number of records that a `read_committed` consumer of
//! the group would still receive: [`Lag::readable`].
//!
//! These offsets lie between the committed offset and the high watermark and do not count as lag:
//!
//! * commit and abort markers of transactions ([`Lag::control_records`]),
//! * records of aborted transactions ([`Lag::aborted_records`]),
//! * offsets from the last stable offset on, because a transaction is open
//!   ([`Lag::beyond_last_stable`]),
//! * records that were deleted before the group read them ([`Lag::lost`]),
//! * offsets without a record, because compaction has removed it ([`Lag::compacted`]).
//!
//! `kafka-consumer-groups.sh` counts all of them, so for each partition its LAG is `readable +
//! control_records + aborted_records + compacted + beyond_last_stable + deleted_offsets`, where
//! `deleted_offsets` includes the markers between the records of [`Lag::lost`].
//!
//! Bounds: the records are counted by a scan of the log, which reads a limited number of bytes at
//! each poll. Until the scan has covered all unread records, [`Lag::readable`] has two bounds, and
//! `control_records`, `aborted_records` and `compacted` are lower bounds.
//!
//! Lag is undefined, with a reason ([`LagUndefined`]), where no committed offset can be compared
//! with the log.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::lag_count::LagCount;

/// The offsets that bound a partition's log: `log_start <= last_stable <= high_watermark`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsets {
    /// Offset of the oldest record that was not deleted.
    pub log_start: i64,
    /// The first offset of the oldest open transaction, or the high watermark if none is open.
    /// A `read_committed` consumer reads up to this offset, exclusive.
    pub last_stable: i64,
    /// The offset that the next record will get.
    pub high_watermark: i64,
}

/// The lag of a group on one partition, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Records that a `read_committed` consumer would still receive.
    pub readable: LagCount,
    /// Commit and abort markers among the unread records.
    pub control_records: i64,
    /// Records of aborted transactions among the unread records.
    pub aborted_records: i64,
    /// Unread offsets whose record compaction has removed.
    pub compacted: i64,
    /// Offsets from the last stable offset to the high watermark: records of open transactions,
    /// and all records written after the first of those.
    pub beyond_last_stable: i64,
    /// Records that were deleted before the group read them, without markers and aborted records.
    /// Both bounds are equal only if the scan had counted the records before they were deleted.
    pub lost: LagCount,
    /// Offsets from the committed offset to the start of the log.
    pub deleted_offsets: i64,
    /// Records of the partition, counted since the reader first saw it. `None` while the scan is
    /// behind. Rates are differences of this number.
    pub written: Option<RecordsWritten>,
    /// The timestamp of the oldest readable record. `None` if there is none, or if its timestamp
    /// cannot be read.
    pub oldest_unread: Option<DateTime<Utc>>,
}

/// The number of records of a partition up to the last stable offset, without markers and aborted
/// records, counted from where the reader first saw the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsWritten {
    /// Only numbers with the same origin can be compared.
    pub origin: u64,
    /// Records from the origin to the last stable offset.
    pub records: i64,
}

/// Why the lag of a group on a partition is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LagUndefined {
    /// The group has committed no offset, and the partition has no readable record.
    NoRecordYet,
    /// The group has committed no offset, and the partition has records.
    NothingCommitted,
    /// The committed offset is beyond the high watermark: the topic was recreated.
    CommittedBeyondEnd,
    /// The group has committed an offset for a partition that does not exist any more.
    TopicDeleted,
}

impl fmt::Display for LagUndefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecordYet => "no record yet",
            Self::NothingCommitted => "nothing committed",
            Self::CommittedBeyondEnd => "committed beyond the end",
            Self::TopicDeleted => "topic deleted",
        })
    }
}

/// What a scan has counted for one committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnreadScan {
    pub readable: LagCount,
    pub control_records: i64,
    pub aborted_records: i64,
    pub compacted: i64,
    pub lost: LagCount,
    pub written: Option<RecordsWritten>,
    pub oldest_readable: Option<DateTime<Utc>>,
}

/// The first offset that the group has not read and that was not deleted. A group without a
/// committed offset begins at the start of the log.
pub(crate) fn first_unread(committed: Option<i64>, log: LogOffsets) -> i64 {
    committed.map_or(log.log_start, |committed| committed.max(log.log_start))
}

/// Computes the lag. `log` is `None` if the partition does not exist. `scan` is what was counted
/// from [`first_unread`] to the last stable offset; without it there are only bounds.
///
/// When the scan is complete, the parts sum up to `high_watermark - committed`.
pub(crate) fn lag(
    committed: Option<i64>,
    log: Option<LogOffsets>,
    scan: Option<UnreadScan>,
) -> Result<Lag, LagUndefined> {
    let log = log.ok_or(LagUndefined::TopicDeleted)?;
    if committed.is_some_and(|committed| committed > log.high_watermark) {
        return Err(LagUndefined::CommittedBeyondEnd);
    }
    let start = first_unread(committed, log);
    let scan = scan.unwrap_or(UnreadScan {
        readable: LagCount::between(0, log.last_stable - start),
        control_records: 0,
        aborted_records: 0,
        compacted: 0,
        lost: LagCount::between(0, start - committed.unwrap_or(start)),
        written: None,
        oldest_readable: None,
    });
    let Some(committed) = committed else {
        return Err(match scan.readable {
            LagCount::ZERO => LagUndefined::NoRecordYet,
            _ => LagUndefined::NothingCommitted,
        });
    };
    Ok(Lag {
        readable: scan.readable,
        control_records: scan.control_records,
        aborted_records: scan.aborted_records,
        compacted: scan.compacted,
        beyond_last_stable: log.high_watermark - log.last_stable.max(start),
        lost: scan.lost,
        deleted_offsets: start - committed,
        written: scan.written,
        oldest_unread: scan.oldest_readable,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lag_is_undefined_without_a_topic_or_with_a_commit_beyond_the_end() {
        let log = LogOffsets {
            log_start: 2,
            last_stable: 5,
            high_watermark: 5,
        };
        let lag = |committed, log| lag(committed, log, None);
        assert_eq!(lag(Some(3), None), Err(LagUndefined::TopicDeleted));
        assert_eq!(
            lag(Some(6), Some(log)),
            Err(LagUndefined::CommittedBeyondEnd)
        );
        assert_eq!(lag(None, Some(log)), Err(LagUndefined::NothingCommitted));
        let empty = LogOffsets {
            log_start: 5,
            ..log
        };
        assert_eq!(lag(None, Some(empty)), Err(LagUndefined::NoRecordYet));
    }

    proptest! {
        #[test]
        fn the_parts_always_sum_up_to_the_lag_of_kafkas_own_tool(
            committed in 0i64..100, start in 0i64..100, stable in 0i64..100, high in 0i64..100,
        ) {
            let mut all = [start, stable, high];
            all.sort_unstable();
            let [log_start, last_stable, high_watermark] = all;
            let log = LogOffsets { log_start, last_stable, high_watermark };
            let lag = lag(Some(committed), Some(log), None);
            prop_assert_eq!(lag.is_err(), committed > high_watermark);
            if let Ok(lag) = lag {
                let parts = [
                    lag.readable.upper(),
                    lag.control_records,
                    lag.aborted_records,
                    lag.beyond_last_stable,
                    lag.deleted_offsets,
                ];
                prop_assert!(parts.iter().all(|part| *part >= 0), "{:?}", lag);
                prop_assert_eq!(parts.iter().sum::<i64>(), high_watermark - committed);
            }
        }
    }
}
