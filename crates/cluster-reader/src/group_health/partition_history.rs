//! A group on one partition over time.

use chrono::{DateTime, Utc};

use super::downsample::{KEPT, downsample};
use crate::{Lag, LagCount, LagUndefined, LogOffsets, PartitionLag, RecordsWritten};

/// A group on one partition over time. It is empty while the lag is undefined for a reason that
/// says nothing about progress: a deleted topic, or a commit beyond the end.
#[derive(Debug, Clone, Default)]
pub(super) struct PartitionHistory {
    samples: Vec<Sample>,
    /// Whether the offsets of the samples were committed. Otherwise the group has committed
    /// nothing, and they are the last stable offset at the time when the partition was first seen
    /// with an owner: records written since then are certainly for that owner.
    is_committed: bool,
    /// The highest offset that was committed before the group went back, until the group has
    /// reached it again.
    rewound_from: Option<(DateTime<Utc>, i64)>,
}

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: DateTime<Utc>,
    pub(super) committed: i64,
    pub(super) readable: LagCount,
    pub(super) log_start: i64,
    pub(super) last_stable: i64,
    pub(super) written: Option<RecordsWritten>,
}

impl PartitionHistory {
    pub(super) fn add(&mut self, now: DateTime<Utc>, row: &PartitionLag) {
        match (row.lag, row.committed, row.log_offsets) {
            (Ok(lag), Some(committed), Some(log)) => self.add_committed(now, committed, log, lag),
            (Err(LagUndefined::NothingCommitted | LagUndefined::NoRecordYet), _, Some(log))
                if row.owner.is_some() =>
            {
                self.add_uncommitted(now, log);
            }
            _ => *self = Self::default(),
        }
    }

    fn add_committed(&mut self, now: DateTime<Utc>, committed: i64, log: LogOffsets, lag: Lag) {
        self.restart_if(!self.is_committed || self.has_shrunk(log));
        self.is_committed = true;
        let before = self.samples.last().map(|last| last.committed);
        if let Some(before) = before.filter(|before| committed < *before) {
            let highest = self.rewound_from.map_or(0, |(_, offset)| offset);
            self.rewound_from = Some((now, before.max(highest)));
            // The progress before says nothing about the records that are read again.
            self.samples.clear();
        }
        let is_behind =
            |(at, offset): &(DateTime<Utc>, i64)| committed < *offset && now - *at <= KEPT;
        self.rewound_from = self.rewound_from.filter(is_behind);
        self.push(Sample {
            at: now,
            committed,
            readable: lag.readable,
            log_start: log.log_start,
            last_stable: log.last_stable,
            written: lag.written,
        });
    }

    fn add_uncommitted(&mut self, now: DateTime<Utc>, log: LogOffsets) {
        self.restart_if(self.is_committed || self.has_shrunk(log));
        let first = self
            .samples
            .first()
            .map_or(log.last_stable, |first| first.committed);
        self.push(Sample {
            at: now,
            committed: first,
            readable: LagCount::between(0, log.last_stable.saturating_sub(first)),
            log_start: log.log_start,
            last_stable: log.last_stable,
            written: None,
        });
    }

    /// Whether the log is shorter than before. A log only grows, so the topic was recreated.
    fn has_shrunk(&self, log: LogOffsets) -> bool {
        self.samples
            .last()
            .is_some_and(|last| log.last_stable < last.last_stable)
    }

    fn restart_if(&mut self, restart: bool) {
        if restart {
            *self = Self::default();
        }
    }

    /// Of consecutive equal samples only the first and the last are kept.
    fn push(&mut self, sample: Sample) {
        match self.samples.as_mut_slice() {
            [.., first, last] if first.equals(&sample) && last.equals(&sample) => {
                last.at = sample.at;
            }
            _ => {
                self.samples.push(sample);
                downsample(&mut self.samples, sample.at, |one| one.at);
            }
        }
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The last sample, if it was taken at `now`.
    pub(super) fn sample_of(&self, now: DateTime<Utc>) -> Option<&Sample> {
        self.samples.last().filter(|sample| sample.at == now)
    }

    /// The last sample at or before `then`, or the first sample if all are later.
    pub(super) fn sample_at(&self, then: DateTime<Utc>) -> Option<&Sample> {
        let until = self.samples.partition_point(|sample| sample.at <= then);
        self.samples.get(until.saturating_sub(1))
    }

    /// Since when the committed offset has not moved while records waited all the time; `None` if
    /// it is not certain that a record waits. Without a commit, what was written since the first
    /// sample waits, marker or record.
    pub(super) fn blocked_since(&self) -> Option<DateTime<Utc>> {
        let last = self.samples.last()?;
        let is_blocked =
            |sample: &&Sample| sample.committed == last.committed && self.records_wait(sample);
        let blocked = self.samples.iter().rev().take_while(is_blocked);
        blocked.last().map(|sample| sample.at)
    }

    fn records_wait(&self, sample: &Sample) -> bool {
        match self.is_committed {
            true => sample.readable.lower() > 0,
            false => sample.readable.upper() > 0,
        }
    }

    /// When the current committed offset was first seen.
    pub(super) fn committed_since(&self) -> Option<DateTime<Utc>> {
        let last = self.samples.last()?;
        let same = |sample: &&Sample| sample.committed == last.committed;
        let same = self.samples.iter().rev().take_while(same);
        same.last().map(|sample| sample.at)
    }

    /// Whether the committed offset has advanced after that time.
    pub(super) fn has_advanced_after(&self, then: DateTime<Utc>) -> bool {
        let (Some(before), Some(last)) = (self.sample_at(then), self.samples.last()) else {
            return false;
        };
        last.committed > before.committed
    }

    /// The offset from which the group went back, if it has not reached it again.
    pub(super) fn rewound_from(&self) -> Option<i64> {
        self.rewound_from.map(|(_, offset)| offset)
    }
}

impl Sample {
    /// Whether all but the time is equal.
    fn equals(&self, other: &Self) -> bool {
        let at = self.at;
        *self == Self { at, ..*other }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn after(start: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
        start + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_day_of_polls_takes_no_more_samples_than_an_hour() {
        let start = DateTime::UNIX_EPOCH;
        for seconds in [1, 5, 300] {
            let mut history = PartitionHistory::default();
            let polls = 86_400 / seconds;
            for n in 0..polls {
                history.push(Sample {
                    at: after(start, n * seconds),
                    committed: n,
                    readable: LagCount::of(1),
                    log_start: 0,
                    last_stable: n + 1,
                    written: None,
                });
            }
            let kept = history.samples();
            assert!((4..=100).contains(&kept.len()), "{seconds}: {}", kept.len());
            assert_eq!(kept.last().unwrap().committed, polls - 1);
            let span = kept.last().unwrap().at - kept[0].at;
            assert!(span >= TimeDelta::minutes(14), "{seconds}: {span}");
            assert!(span <= TimeDelta::minutes(20), "{seconds}: {span}");
        }
    }

    #[test]
    fn a_partition_without_changes_takes_two_samples() {
        let start = DateTime::UNIX_EPOCH;
        let mut history = PartitionHistory::default();
        for n in 0..10_000 {
            history.push(Sample {
                at: after(start, n * 5),
                committed: 7,
                readable: LagCount::of(1),
                log_start: 0,
                last_stable: 8,
                written: None,
            });
        }
        assert_eq!(history.samples().len(), 2);
        assert_eq!(history.blocked_since(), Some(start));
    }
}
