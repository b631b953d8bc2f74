//! Records that were deleted before they were consumed. Pure.
//!
//! A log that begins after the next offset to consume makes librdkafka continue at the beginning of the log, without a word to
//! the application (`auto.offset.reset`). It happens when retention or `delete-records` overtakes a group that is slow, paused or
//! stopped.
//!
//! A gap between two offsets alone means nothing: transaction markers, aborted transactions and compaction leave gaps inside the
//! log. So a gap counts as lost only as far as the log begins after it. The beginning of a log comes with every fetch and is
//! reported by the next statistics of the client, some seconds later.

use std::collections::BTreeSet;

use crate::topic_partitions::{Offsets, Partition};

/// How many statistics may pass until a gap is forgotten. The first may have been made before the gap.
const STATISTICS: u8 = 2;

/// Gaps that are remembered at most; the oldest are forgotten. A transaction leaves one for each partition.
const MAX_GAPS: usize = 20_000;

/// Offsets of a partition that were deleted before they were consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) partition: Partition,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// The beginning of a partition's log, by the statistics of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogStart {
    pub(crate) offset: i64,
    /// The client holds no fetched record that it has not returned yet.
    pub(crate) is_queue_empty: bool,
}

/// Offsets that were not consumed: `first` to `end - 1`.
#[derive(Debug, Clone, Copy)]
struct Gap {
    partition: Partition,
    first: i64,
    end: i64,
    /// Statistics since the gap.
    age: u8,
}

/// The next offset to consume of each assigned partition, and the gaps that have not been judged yet.
#[derive(Debug, Default)]
pub(crate) struct LossWatch {
    expected: Offsets,
    /// The first consumed offset of partitions whose committed offset is not known yet.
    first_consumed: Offsets,
    asked: BTreeSet<Partition>,
    gaps: Vec<Gap>,
}

impl LossWatch {
    /// Forgets the partitions that are not assigned any more, and those that were revoked meanwhile. Returns the partitions
    /// whose committed offset is needed.
    pub(crate) fn assigned(
        &mut self,
        assigned: &BTreeSet<Partition>,
        revoked: &BTreeSet<Partition>,
    ) -> Vec<Partition> {
        let is_kept = |one: &Partition| assigned.contains(one) && !revoked.contains(one);
        self.expected.retain(|partition, _| is_kept(partition));
        self.first_consumed
            .retain(|partition, _| is_kept(partition));
        self.asked.retain(is_kept);
        let new: Vec<Partition> = assigned.difference(&self.asked).copied().collect();
        self.asked.extend(&new);
        new
    }

    /// The committed offset of a partition when it was assigned. It may arrive after the first records.
    pub(crate) fn committed(&mut self, partition: Partition, offset: i64) {
        match self.first_consumed.remove(&partition) {
            Some(first) => self.gap(partition, offset, first),
            None => {
                self.expected.entry(partition).or_insert(offset);
            }
        }
    }

    /// The client was sought to these offsets.
    pub(crate) fn sought(&mut self, offsets: &Offsets) {
        self.expected.extend(offsets);
    }

    /// A record was collected. The records of a partition are given in their order.
    pub(crate) fn consumed(&mut self, partition: Partition, offset: i64) {
        match self.expected.insert(partition, offset + 1) {
            Some(expected) => self.gap(partition, expected, offset),
            None => {
                self.first_consumed.insert(partition, offset);
            }
        }
    }

    /// The positions of the client: they are past markers that it has skipped.
    pub(crate) fn advance(&mut self, positions: &Offsets) {
        for (partition, position) in positions {
            if let Some(expected) = self.expected.get_mut(partition) {
                *expected = position.max(expected).to_owned();
            }
        }
    }

    fn gap(&mut self, partition: Partition, first: i64, end: i64) {
        if first >= end {
            return;
        }
        if self.gaps.len() >= MAX_GAPS {
            self.gaps.drain(..MAX_GAPS / 2);
        }
        self.gaps.push(Gap {
            partition,
            first,
            end,
            age: 0,
        });
    }

    /// Judges by new statistics which offsets are lost. Each loss is returned once.
    pub(crate) fn check(
        &mut self,
        log_start: impl Fn(&Partition) -> Option<LogStart>,
    ) -> Vec<Loss> {
        let mut losses = Vec::new();
        self.gaps.retain_mut(|gap| {
            let end =
                log_start(&gap.partition).map_or(gap.first, |start| start.offset.min(gap.end));
            if gap.first < end {
                losses.push(loss(gap.partition, gap.first, end));
                return false;
            }
            gap.age += 1;
            gap.age < STATISTICS
        });
        for (partition, expected) in &mut self.expected {
            let Some(start) = log_start(partition) else {
                continue;
            };
            // Records that the client has fetched already are not lost, even if they are deleted meanwhile.
            if start.is_queue_empty && *expected < start.offset {
                losses.push(loss(*partition, *expected, start.offset));
                *expected = start.offset;
            }
        }
        losses
    }
}

fn loss(partition: Partition, first: i64, end: i64) -> Loss {
    Loss {
        partition,
        first,
        last: end - 1,
    }
}

#[cfg(test)]
mod tests {
    use shared_events::Topic;

    use super::*;

    const P: Partition = Partition {
        topic: Topic::Payments,
        number: 1,
    };

    fn watch(committed: i64) -> LossWatch {
        let mut watch = LossWatch::default();
        let assigned = BTreeSet::from([P]);
        assert_eq!(watch.assigned(&assigned, &BTreeSet::new()), [P]);
        assert_eq!(watch.assigned(&assigned, &BTreeSet::new()), []);
        watch.committed(P, committed);
        watch
    }

    fn at(offset: i64) -> impl Fn(&Partition) -> Option<LogStart> {
        move |_| {
            Some(LogStart {
                offset,
                is_queue_empty: true,
            })
        }
    }

    fn lost(first: i64, last: i64) -> Vec<Loss> {
        vec![Loss {
            partition: P,
            first,
            last,
        }]
    }

    #[test]
    fn markers_and_compaction_inside_the_log_are_no_loss() {
        let mut watch = watch(100);
        for offset in [100, 102, 103, 190] {
            watch.consumed(P, offset);
        }
        assert_eq!(watch.check(at(0)), []);
        assert_eq!(watch.check(at(100)), []);
        // Retention deletes what was consumed, some statistics later.
        watch.consumed(P, 191);
        watch.consumed(P, 192);
        assert_eq!(watch.check(at(193)), []);
    }

    #[test]
    fn a_log_that_begins_after_the_next_offset_is_a_loss_once() {
        let mut paused = watch(100);
        paused.consumed(P, 100);
        // The statistics arrive with the batch after the pause, or later.
        paused.consumed(P, 1_310);
        assert_eq!(paused.check(at(1_310)), lost(101, 1_309));
        assert_eq!(paused.check(at(1_310)), []);
        let mut later = watch(100);
        later.consumed(P, 1_312);
        assert_eq!(later.check(at(0)), []);
        assert_eq!(later.check(at(1_310)), lost(100, 1_309));
    }

    #[test]
    fn a_loss_is_noticed_without_a_record_after_it() {
        let mut watch = watch(100);
        assert_eq!(watch.check(|_| None), []);
        assert_eq!(watch.check(at(150)), lost(100, 149));
        assert_eq!(watch.check(at(150)), []);
        watch.consumed(P, 150);
        assert_eq!(watch.check(at(150)), []);
    }

    #[test]
    fn fetched_records_and_skipped_markers_are_not_lost() {
        let fetched = |_: &Partition| {
            Some(LogStart {
                offset: 150,
                is_queue_empty: false,
            })
        };
        let mut watch = watch(100);
        assert_eq!(watch.check(fetched), []);
        watch.advance(&Offsets::from([(P, 150)]));
        assert_eq!(watch.check(at(150)), []);
    }

    #[test]
    fn a_start_below_the_beginning_of_the_log_is_a_loss() {
        let mut watch = LossWatch::default();
        watch.assigned(&BTreeSet::from([P]), &BTreeSet::new());
        watch.consumed(P, 4_428);
        watch.committed(P, 4_000);
        assert_eq!(watch.check(at(4_428)), lost(4_000, 4_427));
        // A group that has never committed has lost nothing.
        let mut new = LossWatch::default();
        new.assigned(&BTreeSet::from([P]), &BTreeSet::new());
        new.consumed(P, 4_428);
        assert_eq!(new.check(at(4_428)), []);
    }

    #[test]
    fn a_retried_batch_and_a_reassigned_partition_begin_again() {
        let mut watch = watch(100);
        watch.consumed(P, 100);
        watch.sought(&Offsets::from([(P, 100)]));
        watch.consumed(P, 100);
        assert_eq!(watch.check(at(101)), []);
        // Another member has consumed up to 200 meanwhile.
        let assigned = BTreeSet::from([P]);
        assert_eq!(watch.assigned(&assigned, &assigned), [P]);
        watch.committed(P, 200);
        watch.consumed(P, 200);
        assert_eq!(watch.check(at(200)), []);
    }
}
