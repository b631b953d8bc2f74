use shared_events::GroupControls;

use super::*;

#[derive(Clone, Copy)]
enum Step {
    Loaded(&'static str),
    Group(&'static str),
    Instance(&'static str),
    Tombstone,
}
use Source::{Default, Environment, Group, Instance};
use Step::{Group as ByGroup, Instance as ByCall, Loaded, Tombstone};

fn json(text: &str) -> GroupControls {
    GroupControls::decode(text.as_bytes()).unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn after(environment: GroupControls, steps: &[Step]) -> EffectiveConfig {
    after_in(&Faults::default(), environment, steps)
}

fn after_in(faults: &Faults, environment: GroupControls, steps: &[Step]) -> EffectiveConfig {
    let allowed = faults.are_allowed();
    let mut layers = ConfigLayers::new(Layer::new(environment, None, allowed), faults);
    for (second, step) in (0..).zip(steps) {
        let set = |text| Layer::new(json(text), Some(at(second)), allowed);
        match step {
            Loaded(text) => layers.load_group(set(text)),
            ByGroup(text) => layers.set_group(Some(set(text))),
            ByCall(text) => layers.set_instance(set(text)),
            Tombstone => layers.set_group(None),
        }
    }
    layers.effective()
}

type Row = (
    &'static [Step],
    (u32, Source),
    (u32, Source),
    (bool, Source),
);

#[test]
fn each_source_overrides_the_one_before_it() {
    const SLOW: &str = r#"{"processing_time_ms": 2000}"#;
    const FAST: &str = r#"{"processing_time_ms": 50, "batch_max": 7}"#;
    const NO_WORK: &str = r#"{"processing_time_ms": 0}"#;
    const BATCH: &str = r#"{"batch_max": 9}"#;
    const PAUSED: &str = r#"{"paused": true}"#;
    const GOING: &str = r#"{"paused": false}"#;
    let going = (false, Default);
    let rows: &[Row] = &[
        (&[], (0, Default), (500, Default), going),
        (&[Loaded(SLOW)], (2000, Group), (1, Group), going),
        (&[ByGroup(SLOW)], (2000, Group), (1, Group), going),
        (&[ByCall(SLOW)], (2000, Instance), (1, Instance), going),
        // The group's next record replaces its last one, and resets the same fields of the instance.
        (
            &[ByGroup(SLOW), ByGroup(BATCH)],
            (0, Default),
            (9, Group),
            going,
        ),
        (
            &[ByCall(SLOW), ByGroup(BATCH)],
            (2000, Instance),
            (9, Group),
            going,
        ),
        (
            &[ByCall(FAST), ByGroup(SLOW)],
            (2000, Group),
            (1, Group),
            going,
        ),
        (
            &[ByCall(PAUSED), ByGroup(SLOW)],
            (2000, Group),
            (1, Group),
            (true, Instance),
        ),
        (
            &[ByGroup(PAUSED), ByCall(GOING)],
            (0, Default),
            (500, Default),
            (false, Instance),
        ),
        (
            &[ByCall(GOING), ByGroup(PAUSED)],
            (0, Default),
            (500, Default),
            (true, Group),
        ),
        // Later settings of the instance override the group again.
        (
            &[ByGroup(SLOW), ByCall(NO_WORK)],
            (0, Instance),
            (500, Instance),
            going,
        ),
        (
            &[ByGroup(SLOW), ByCall(BATCH)],
            (2000, Group),
            (9, Instance),
            going,
        ),
        (
            &[ByCall(BATCH), ByCall(PAUSED)],
            (0, Default),
            (9, Instance),
            (true, Instance),
        ),
        (
            &[ByGroup(FAST), ByGroup(NO_WORK)],
            (0, Group),
            (500, Group),
            going,
        ),
        // A record that was there before is older than any call.
        (
            &[ByCall(FAST), Loaded(SLOW)],
            (50, Instance),
            (7, Instance),
            going,
        ),
        (
            &[ByGroup(SLOW), ByCall(FAST), Tombstone],
            (0, Default),
            (500, Default),
            going,
        ),
    ];
    for (number, (steps, time, batch, paused)) in rows.iter().enumerate() {
        let config = after(GroupControls::default(), steps);
        let sources = config.sources;
        assert_eq!(
            (config.processing_time_ms, sources.processing_time_ms),
            *time,
            "row {number}"
        );
        assert_eq!(
            (config.batch_max, sources.batch_max),
            *batch,
            "row {number}"
        );
        assert_eq!((config.paused, sources.paused), *paused, "row {number}");
    }
}

#[test]
fn a_tombstone_makes_the_environment_effective_again() {
    let environment = json(r#"{"batch_max": 20}"#);
    let config = after(environment.clone(), &[]);
    assert_eq!(
        (config.batch_max, config.sources.batch_max),
        (20, Environment)
    );
    let config = after(environment.clone(), &[ByGroup(r#"{"batch_max": 3}"#)]);
    assert_eq!((config.batch_max, config.sources.batch_max), (3, Group));
    let steps = [
        ByGroup(r#"{"batch_max": 3}"#),
        ByCall(r#"{"batch_max": 4}"#),
        Tombstone,
    ];
    let config = after(environment, &steps);
    assert_eq!(
        (config.batch_max, config.sources.batch_max),
        (20, Environment)
    );
    let slow = after(json(r#"{"processing_time_ms": 5}"#), &[]);
    assert_eq!((slow.batch_max, slow.sources.batch_max), (1, Environment));
}

#[test]
fn a_setting_is_in_force_since_its_value_was_set() {
    let since = |steps: &[Step]| after(GroupControls::default(), steps).since;
    const PAUSED: &str = r#"{"paused": true}"#;
    const SLOW: &str = r#"{"processing_time_ms": 2000}"#;
    const BOTH: &str = r#"{"processing_time_ms": 2000, "paused": true}"#;
    const NOBODY: Since = Since {
        processing_time_ms: None,
        batch_max: None,
        paused: None,
        crash_at: None,
        protection_off: None,
    };
    assert_eq!(since(&[]), NOBODY);
    let by_environment = after(json(SLOW), &[]).since;
    assert_eq!(by_environment, NOBODY);
    // A value that is set again, as `./sandbox consumer` does with each change of another one, keeps its time.
    for again in [
        [ByGroup(PAUSED), ByGroup(BOTH)],
        [ByCall(PAUSED), ByCall(BOTH)],
    ] {
        let both = since(&again);
        assert_eq!(both.paused, Some(at(0)));
        assert_eq!(
            (both.processing_time_ms, both.batch_max),
            (Some(at(1)), Some(at(1)))
        );
    }
    // Another source, or another value, begins at its own time.
    assert_eq!(
        since(&[ByGroup(PAUSED), ByCall(PAUSED)]).paused,
        Some(at(1))
    );
    let resumed = [ByGroup(PAUSED), ByGroup(r#"{"paused": false}"#)];
    assert_eq!(since(&resumed).paused, Some(at(1)));
    assert_eq!(since(&[ByCall(PAUSED), Tombstone]), NOBODY);
}

/// Before and after the start of any process of a test.
const BEFORE: &str = r#"{"crash_at": "batch-collected", "crash_at_since": "2000-01-01T00:00:00Z"}"#;
const LATER: &str = r#"{"crash_at": "batch-collected", "crash_at_since": "2999-01-01T00:00:00Z"}"#;

#[test]
fn a_crash_point_is_for_processes_that_run_when_it_is_set() {
    const REPEATED: &str = r#"{"crash_at": "batch-collected", "crash_at_repeat": true}"#;
    const NONE: &str = r#"{"crash_at": "none"}"#;
    const BATCH: &str = r#"{"batch_max": 3}"#;
    let crash = |steps: &[Step]| {
        let config = after_in(&Faults::new(None, None), GroupControls::default(), steps);
        (config.crash_at.0.is_some(), config.sources.crash_at)
    };
    let rows: &[(&[Step], (bool, Source))] = &[
        (&[Loaded(LATER)], (true, Group)),
        (&[ByGroup(LATER)], (true, Group)),
        (&[ByCall(LATER)], (true, Instance)),
        // What a restarted process finds, also when the record is repeated with another setting.
        (&[Loaded(BEFORE)], (false, Group)),
        (&[Loaded(BEFORE), ByGroup(BEFORE)], (false, Group)),
        (&[Loaded(REPEATED)], (true, Group)),
        (&[ByGroup(LATER), ByGroup(NONE)], (false, Group)),
        (&[ByGroup(LATER), ByGroup(BATCH)], (false, Default)),
        (&[ByGroup(LATER), Tombstone], (false, Default)),
        // Without a time of its own, the time of the record counts, and those of this test are of 1970.
        (
            &[ByGroup(r#"{"crash_at": "batch-collected"}"#)],
            (false, Group),
        ),
    ];
    for (number, (steps, expected)) in rows.iter().enumerate() {
        assert_eq!(crash(steps), *expected, "row {number}");
    }
}

#[test]
fn the_group_overrides_the_faults_of_the_environment() {
    let environment = || json(r#"{"crash_at": "batch-collected", "protection_off": "outbox"}"#);
    let faults = Faults::new(None, None);
    let config = after_in(&faults, environment(), &[]);
    assert_eq!(config.crash_at.to_string(), "batch-collected");
    assert_eq!(config.sources.protection_off, Environment);
    let none = ByGroup(r#"{"crash_at": "none", "protection_off": "seek-back"}"#);
    let config = after_in(&faults, environment(), &[none]);
    assert_eq!(config.crash_at, OrNone(None));
    assert_eq!(config.protection_off.to_string(), "seek-back");
}

#[test]
fn a_process_without_the_permission_ignores_faults_and_obeys_the_rest() {
    let text = r#"{"crash_at": "batch-collected", "crash_at_since": "2999-01-01T00:00:00Z",
        "protection_off": "outbox", "processing_time_ms": 90000, "paused": true}"#;
    let group = [ByGroup(text)];
    let config = after(GroupControls::default(), &group);
    assert!(config.faults_ignored && !config.unsafe_allowed && config.paused);
    assert_eq!(
        (config.processing_time_ms, config.batch_max),
        (0, BATCH_MAX_DEFAULT)
    );
    assert_eq!(
        (config.crash_at, config.protection_off),
        (OrNone(None), OrNone(None))
    );
    let faults = Faults::new(None, None);
    let config = after_in(&faults, GroupControls::default(), &group);
    assert!(!config.faults_ignored && config.unsafe_allowed);
    assert_eq!((config.processing_time_ms, config.batch_max), (90_000, 1));
    let cleared = [group[0], Tombstone];
    assert!(!after(GroupControls::default(), &cleared).faults_ignored);
}

#[test]
fn a_control_says_what_it_has_changed() {
    let faults = Faults::new(None, None);
    let mut layers = ConfigLayers::new(Layer::default(), &faults);
    let before = layers.effective();
    let slow = GroupControls {
        processing_time_ms: Some(2_000),
        ..GroupControls::default()
    };
    let slow = Layer::new(slow, None, true);
    assert_eq!(slow.to_string(), "processing_time_ms=2000 batch_max=1");
    assert_eq!(Layer::default().to_string(), "nothing");
    layers.set_group(Some(slow));
    let after = layers.effective();
    assert_eq!(
        changes(&before, &after),
        "processing_time_ms 0 to 2000, batch_max 500 to 1"
    );
    layers.set_group(Some(slow));
    assert_eq!(changes(&after, &layers.effective()), "nothing");
}
