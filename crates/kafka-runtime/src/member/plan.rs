//! Which records of a batch are settled, and which are left for another time. Pure.

use crate::member::assignment::Partition;
use crate::member::batch::Offsets;
use crate::settings::PoisonPolicy;

/// What is known of a record, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sound event of a type we know.
    Good,
    /// A type that nobody here knows: neither ends a run of poison nor makes it longer.
    Unknown,
    /// Poison.
    Poison,
}

/// A record's place and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: Partition,
    pub(crate) offset: i64,
    pub(crate) kind: Kind,
}

/// What a batch comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The first record left out of each partition from which any is. All before it are settled.
    pub(crate) left_out: Offsets,
    /// How many poison records in a row there are at the end of what is settled.
    pub(crate) run: u32,
    /// The record that made the run reach its limit.
    pub(crate) limit_reached: Option<(Partition, i64)>,
}

impl Plan {
    /// Whether the record is settled.
    pub(crate) fn keeps(&self, place: &Place) -> bool {
        self.left_out
            .get(&place.partition)
            .is_none_or(|first| place.offset < *first)
    }
}

/// Plans a batch.
///
/// With `dead-letter` the batch is cut behind the record with which the run of poison reaches its limit: a bad release must not
/// drain a topic into the dead letters. With `block` each partition is cut before its first poison record.
pub(crate) fn plan(places: &[Place], policy: PoisonPolicy, run: u32, limit: u32) -> Plan {
    let mut plan = Plan {
        run,
        ..Plan::default()
    };
    for place in places {
        let blocked = policy == PoisonPolicy::Block && place.kind == Kind::Poison;
        if plan.limit_reached.is_some() || blocked {
            plan.left_out.entry(place.partition).or_insert(place.offset);
        }
        if !plan.keeps(place) {
            continue;
        }
        match place.kind {
            Kind::Good => plan.run = 0,
            Kind::Unknown => {}
            Kind::Poison => plan.run += 1,
        }
        if plan.run >= limit && place.kind == Kind::Poison {
            plan.limit_reached = Some((place.partition, place.offset));
        }
    }
    plan
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

    fn places(records: &[(i32, Kind)]) -> Vec<Place> {
        let place = |(offset, (number, kind)): (usize, &(i32, Kind))| Place {
            partition: partition(*number),
            offset: offset as i64,
            kind: *kind,
        };
        records.iter().enumerate().map(place).collect()
    }

    #[test]
    fn without_poison_everything_is_settled() {
        let batch = places(&[(0, Kind::Good), (1, Kind::Unknown), (0, Kind::Good)]);
        assert_eq!(
            plan(&batch, PoisonPolicy::DeadLetter, 3, 50),
            Plan::default()
        );
    }

    #[test]
    fn a_run_of_poison_goes_on_over_batches_and_over_unknown_types() {
        let batch = places(&[(0, Kind::Poison), (0, Kind::Unknown), (1, Kind::Poison)]);
        assert_eq!(plan(&batch, PoisonPolicy::DeadLetter, 3, 50).run, 5);
    }

    #[test]
    fn at_the_limit_the_batch_is_cut_behind_the_record_that_reached_it() {
        let batch = places(&[
            (0, Kind::Poison),
            (1, Kind::Poison),
            (1, Kind::Good),
            (0, Kind::Good),
            (1, Kind::Poison),
        ]);
        let plan = plan(&batch, PoisonPolicy::DeadLetter, 0, 2);
        assert_eq!(plan.limit_reached, Some((partition(1), 1)));
        assert_eq!(
            plan.left_out,
            Offsets::from([(partition(1), 2), (partition(0), 3)])
        );
    }

    #[test]
    fn block_stops_a_partition_before_its_poison_and_no_other() {
        let batch = places(&[
            (0, Kind::Good),
            (0, Kind::Poison),
            (1, Kind::Good),
            (0, Kind::Good),
        ]);
        let plan = plan(&batch, PoisonPolicy::Block, 0, 50);
        assert_eq!(plan.left_out, Offsets::from([(partition(0), 1)]));
        assert_eq!(
            batch
                .iter()
                .map(|place| plan.keeps(place))
                .collect::<Vec<_>>(),
            [true, false, true, false]
        );
    }

    proptest! {
        #[test]
        fn never_more_poison_in_a_row_is_settled_than_the_limit(
            records in prop::collection::vec((0..3, prop::sample::select(vec![Kind::Good, Kind::Unknown, Kind::Poison])), 0..200),
            run in 0u32..5,
            limit in 5u32..10,
        ) {
            let batch = places(&records);
            let plan = plan(&batch, PoisonPolicy::DeadLetter, run, limit);
            let mut longest = run;
            let mut now = run;
            for place in batch.iter().filter(|place| plan.keeps(place)) {
                match place.kind {
                    Kind::Good => now = 0,
                    Kind::Unknown => {}
                    Kind::Poison => now += 1,
                }
                longest = longest.max(now);
            }
            prop_assert!(longest <= limit);
            prop_assert_eq!(plan.limit_reached.is_some(), longest == limit);
            // Without a limit reached nothing is left out: then all is settled.
            prop_assert!(plan.limit_reached.is_some() || plan.left_out.is_empty());
        }
    }
}
