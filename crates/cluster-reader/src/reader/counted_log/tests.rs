//! Counts of ranges against a plain model.

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
    assert_eq!((written(&log, 15), log.blocks.len()), (Some((7, 6)), 1));
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
    assert!(log.blocks.len() < 1_000, "{}", log.blocks.len());
    assert_eq!(log.count(0, 100_000).records, LagCount::of(100_000));
}

#[test]
fn a_backlog_of_any_length_takes_a_limited_number_of_blocks() {
    let mut log = CountedLog::new(1, 50_000);
    for start in (0..40_000).chain(50_000..100_000) {
        log.add(start, start + 1, records(1, 0), BLOCK_BYTES);
    }
    assert!(log.blocks.len() <= MOST_BLOCKS, "{}", log.blocks.len());
    assert_eq!(log.count(0, 40_000).records, LagCount::of(40_000));
    assert_eq!(
        log.count(0, 100_000).records,
        LagCount::between(90_000, 100_000)
    );
    assert_eq!(log.written(100_000).map(|one| one.records), Some(50_000));
    log.add(40_000, 50_000, records(1, 9_999), BLOCK_BYTES);
    log.forget_before(100_000);
    assert_eq!(log.written(100_000).map(|one| one.records), Some(50_000));
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
