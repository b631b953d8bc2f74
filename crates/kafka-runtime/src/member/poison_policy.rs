//! The poison policy: which records of a batch are committed, and which are left out and read again. Pure.

use crate::settings::PoisonPolicy;
use crate::topic_partitions::{Offsets, Partition};

/// What the policy needs to know about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A valid event of a known type.
    Valid,
    /// An event of a type that this build does not know. It neither ends a run of poison nor extends it.
    UnknownType,
    Poison,
    /// A record that stays where it is for now.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordRef {
    pub(crate) partition: Partition,
    pub(crate) offset: i64,
    pub(crate) kind: RecordKind,
}

/// What is kept of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchCut {
    /// The offset of the first record that is left out, of each partition that is cut. The records before it are kept.
    pub(crate) left_out: Offsets,
    /// Poison records in a row at the end of what is kept.
    pub(crate) poison_run: u32,
    /// The poison record that reached the limit.
    pub(crate) limit_reached: Option<(Partition, i64)>,
}

impl BatchCut {
    pub(crate) fn keeps(&self, record: &RecordRef) -> bool {
        self.left_out
            .get(&record.partition)
            .is_none_or(|first| record.offset < *first)
    }
}

/// Cuts a batch, after a run of `poison_run` poison records.
///
/// With `dead-letter` the batch is cut after the record with which the run of poison reaches its limit: a bad release must not
/// drain a topic into the dead-letter topic. With `block` each partition is cut before its first poison record. With both it is
/// cut before its first record that waits.
pub(crate) fn cut_batch(
    records: &[RecordRef],
    policy: PoisonPolicy,
    poison_run: u32,
    limit: u32,
) -> BatchCut {
    let mut cut = BatchCut {
        poison_run,
        ..BatchCut::default()
    };
    for record in records {
        let blocked = match record.kind {
            RecordKind::Waiting => true,
            RecordKind::Poison => policy == PoisonPolicy::Block,
            RecordKind::Valid | RecordKind::UnknownType => false,
        };
        if cut.limit_reached.is_some() || blocked {
            cut.left_out
                .entry(record.partition)
                .or_insert(record.offset);
        }
        if !cut.keeps(record) {
            continue;
        }
        match record.kind {
            RecordKind::Valid => cut.poison_run = 0,
            RecordKind::UnknownType | RecordKind::Waiting => {}
            RecordKind::Poison => cut.poison_run += 1,
        }
        if cut.poison_run >= limit && record.kind == RecordKind::Poison {
            cut.limit_reached = Some((record.partition, record.offset));
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared_events::Topic;

    use super::*;

    fn partition(number: i32) -> Partition {
        Partition {
            topic: Topic::Orders,
            number,
        }
    }

    fn record_refs(records: &[(i32, RecordKind)]) -> Vec<RecordRef> {
        let record_ref = |(offset, (number, kind)): (usize, &(i32, RecordKind))| RecordRef {
            partition: partition(*number),
            offset: offset as i64,
            kind: *kind,
        };
        records.iter().enumerate().map(record_ref).collect()
    }

    #[test]
    fn without_poison_everything_is_kept() {
        let batch = record_refs(&[
            (0, RecordKind::Valid),
            (1, RecordKind::UnknownType),
            (0, RecordKind::Valid),
        ]);
        assert_eq!(
            cut_batch(&batch, PoisonPolicy::DeadLetter, 3, 50),
            BatchCut::default()
        );
    }

    #[test]
    fn a_run_of_poison_spans_batches_and_unknown_types() {
        let batch = record_refs(&[
            (0, RecordKind::Poison),
            (0, RecordKind::UnknownType),
            (1, RecordKind::Poison),
        ]);
        assert_eq!(
            cut_batch(&batch, PoisonPolicy::DeadLetter, 3, 50).poison_run,
            5
        );
    }

    #[test]
    fn the_batch_is_cut_after_the_record_that_reaches_the_limit() {
        let batch = record_refs(&[
            (0, RecordKind::Poison),
            (1, RecordKind::Poison),
            (1, RecordKind::Valid),
            (0, RecordKind::Valid),
            (1, RecordKind::Poison),
        ]);
        let cut = cut_batch(&batch, PoisonPolicy::DeadLetter, 0, 2);
        assert_eq!(cut.limit_reached, Some((partition(1), 1)));
        assert_eq!(
            cut.left_out,
            Offsets::from([(partition(1), 2), (partition(0), 3)])
        );
    }

    #[test]
    fn block_cuts_only_the_partition_with_poison() {
        let batch = record_refs(&[
            (0, RecordKind::Valid),
            (0, RecordKind::Poison),
            (1, RecordKind::Valid),
            (0, RecordKind::Valid),
        ]);
        let cut = cut_batch(&batch, PoisonPolicy::Block, 0, 50);
        assert_eq!(cut.left_out, Offsets::from([(partition(0), 1)]));
        assert_eq!(
            batch
                .iter()
                .map(|record| cut.keeps(record))
                .collect::<Vec<_>>(),
            [true, false, true, false]
        );
    }

    proptest! {
        #[test]
        fn no_more_poison_in_a_row_is_kept_than_the_limit(
            records in prop::collection::vec((0..3, prop::sample::select(vec![RecordKind::Valid, RecordKind::UnknownType, RecordKind::Poison, RecordKind::Waiting])), 0..200),
            run in 0u32..5,
            limit in 5u32..10,
        ) {
            let batch = record_refs(&records);
            let cut = cut_batch(&batch, PoisonPolicy::DeadLetter, run, limit);
            let mut longest = run;
            let mut now = run;
            for record in batch.iter().filter(|record| cut.keeps(record)) {
                match record.kind {
                    RecordKind::Valid => now = 0,
                    RecordKind::UnknownType => {}
                    RecordKind::Waiting => panic!("a record that waits is kept"),
                    RecordKind::Poison => now += 1,
                }
                longest = longest.max(now);
            }
            prop_assert!(longest <= limit);
            prop_assert_eq!(cut.limit_reached.is_some(), longest == limit);
            // Below the limit only what waits is left out, and what is behind it.
            let waits = batch.iter().any(|record| record.kind == RecordKind::Waiting);
            prop_assert!(cut.limit_reached.is_some() || waits || cut.left_out.is_empty());
        }
    }
}
