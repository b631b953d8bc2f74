//! The promises of [`decide`], over arbitrary readings; and the lines of known situations.

mod manifests;
mod rates;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;

/// A partition of `payments` with so many records read and waiting.
fn partition(partition: i32, read: i64, lag: i64) -> PartitionReading {
    PartitionReading {
        topic: "payments".to_owned(),
        partition,
        committed: Some(read),
        end: Some(read + lag),
        waiting: Waiting::Exactly(lag),
        counted: Some(CountedRecords {
            origin: 1,
            read,
            written: read + lag,
        }),
        is_owned: true,
        is_stalled: false,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A reading of three partitions, of each of which `read` records were read.
fn reading(seconds: i64, replicas: u32, read: i64, lags: [i64; 3]) -> Reading {
    let partitions = (0..).zip(lags).map(|(n, lag)| partition(n, read, lag));
    Reading {
        at: at(seconds),
        replicas,
        members: replicas as usize,
        state: "Stable".to_owned(),
        partitions: partitions.collect(),
    }
}

fn settings(lag_threshold: i64) -> Settings {
    Settings {
        lag_threshold,
        max_replicas: 10,
        cooldown_period: Duration::from_secs(30),
        stabilization_window: Duration::from_secs(30),
        ..Settings::default()
    }
}

/// The decision about a first reading.
fn first(settings: &Settings, reading: &Reading) -> Decision {
    let mut history = History::default();
    history.observe(settings, reading);
    decide(settings, reading, &history)
}

/// Observes, decides, records and carries out.
fn turn(
    settings: &Settings,
    history: &mut History,
    reading: &Reading,
) -> (Decision, Option<StepEffect>) {
    let effect = history.observe(settings, reading);
    let decision = decide(settings, reading, history);
    history.record(settings, &decision);
    if decision.to != decision.from {
        history.stepped(reading, &decision);
    }
    (decision, effect)
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (0u32..4, 1u32..12, 1i64..50, 0i64..20, 1u32..12);
    (numbers, flags, 0u64..120, 0u64..120).prop_map(|(numbers, flags, cooldown, window)| {
        let (min, max, threshold, activation, instances) = numbers;
        let (idle, limit, even, persistent) = flags;
        Settings {
            min_replicas: min.min(max).min(instances),
            max_replicas: max,
            lag_threshold: threshold,
            activation_lag_threshold: activation,
            cooldown_period: Duration::from_secs(cooldown),
            stabilization_window: Duration::from_secs(window),
            allow_idle_consumers: idle && !limit,
            limit_to_partitions_with_lag: limit,
            ensure_even_distribution_of_partitions: even,
            exclude_persistent_lag: persistent,
            most_instances: instances,
            ..Settings::default()
        }
    })
}

proptest! {
    #[test]
    fn the_number_is_never_raised_above_a_cap(
        settings in any_settings(), replicas in 0u32..12, lags in any::<[u16; 3]>(),
    ) {
        let decision = first(&settings, &reading(0, replicas, 7, lags.map(i64::from)));
        let mut cap = settings.max_replicas.min(settings.most_instances);
        if !settings.allow_idle_consumers {
            cap = cap.min(3.max(settings.min_replicas));
        }
        prop_assert!(decision.to <= cap.max(replicas), "{}", decision);
        prop_assert!(decision.to <= replicas || decision.to <= cap, "{}", decision);
    }

    #[test]
    fn a_greater_lag_never_leads_to_a_smaller_number(
        settings in any_settings(), replicas in 0u32..12, lags in any::<[u8; 3]>(), more in any::<[u8; 3]>(),
    ) {
        let greater = [0, 1, 2].map(|n| i64::from(lags[n]) + i64::from(more[n]));
        let less = first(&settings, &reading(0, replicas, 7, lags.map(i64::from)));
        let greater = first(&settings, &reading(0, replicas, 7, greater));
        prop_assert!(less.demand.wanted <= greater.demand.wanted, "{} / {}", less, greater);
        prop_assert!(less.to <= greater.to, "{} / {}", less, greater);
    }

    #[test]
    fn an_unknown_lag_holds_the_number(
        settings in any_settings(), replicas in 1u32..12, lags in any::<[u16; 3]>(), nothing_committed: bool,
    ) {
        let mut reading = reading(0, replicas, 7, lags.map(i64::from));
        reading.partitions[1].committed = None;
        reading.partitions[1].waiting = match nothing_committed {
            true => Waiting::NothingCommitted,
            false => Waiting::Unknown("topic deleted".to_owned()),
        };
        let decision = first(&settings, &reading);
        prop_assert_eq!(decision.to, replicas, "{}", decision);
        reading.replicas = 0;
        let decision = first(&settings, &reading);
        let most = settings.min_replicas.max(1).min(settings.most_instances);
        prop_assert!(decision.to <= if nothing_committed { most } else { 0 }, "{}", decision);
    }

    #[test]
    fn within_a_window_the_number_falls_only_to_what_no_reading_exceeded(
        settings in any_settings(), start in 0u32..4, lags in prop::collection::vec(0i64..200, 2..40),
    ) {
        let (mut history, mut replicas, mut wanted) = (History::default(), start, Vec::new());
        for (n, lag) in (0..).zip(lags) {
            // The group commits between two readings, so that a step does not hold the next one.
            let reading = reading(n * 5, replicas, n, [lag, 0, 0]);
            let (decision, _) = turn(&settings, &mut history, &reading);
            wanted.push((n * 5, decision.demand.wanted));
            let from = n * 5 - settings.stabilization_window.as_secs() as i64;
            let within = wanted.iter().filter(|(at, _)| *at >= from);
            let highest = within.map(|(_, wanted)| *wanted).max().unwrap();
            if decision.to < replicas && decision.to > 0 {
                prop_assert!(decision.to >= highest.min(replicas), "{}", decision);
            }
            replicas = decision.to;
        }
    }

    #[test]
    fn zero_is_reached_exactly_when_the_group_was_idle_for_the_cooldown(
        cooldown in 0i64..40,
        turns in prop::collection::vec((prop_oneof![3 => Just(0i64), 1 => 1i64..3], prop::bool::weighted(0.2)), 2..60),
    ) {
        let settings = Settings {
            cooldown_period: Duration::from_secs(cooldown as u64),
            ..settings(10)
        };
        let (mut history, mut replicas) = (History::default(), 1);
        let (mut idle_since, mut read) = (None, 0);
        for (n, (lag, has_read)) in (0..).zip(turns) {
            let now = n * 5;
            // Records that came and were read since the reading before.
            if replicas > 0 && has_read && n > 0 {
                read += 1;
                idle_since = None;
            }
            let reading = reading(now, replicas, read, [lag, 0, 0]);
            let (decision, _) = turn(&settings, &mut history, &reading);
            idle_since = (lag == 0).then(|| idle_since.unwrap_or(now));
            let is_idle = idle_since.is_some_and(|since| now - since >= cooldown);
            prop_assert_eq!(decision.to == 0, is_idle || (replicas == 0 && lag == 0), "{}", decision);
            replicas = decision.to;
        }
    }
}

#[test]
fn a_decision_is_explained_with_the_numbers_of_each_step() {
    let line = |settings: &Settings, replicas, lags| {
        first(settings, &reading(0, replicas, 7, lags)).to_string()
    };
    assert_eq!(
        line(&settings(300), 1, [304, 304, 304]),
        "lag 912 / 300 = 3.04 → 4, capped at 3 partitions → 3 (was 1): up · KEDA: 4, as it rounds up after its cap"
    );
    assert_eq!(
        line(&settings(10), 0, [5, 5, 5]),
        "lag 15 / 10 = 1.50 → 2 (was 0): up · 2 members on 3 partitions: one reads 2 of them and is done last; 1 or 3 members share them evenly"
    );
    assert_eq!(
        line(&settings(10), 1, [0, 0, 0]),
        "lag 0 / 10 = 0 → 0, cooldown, 30 s left → 1 (was 1): hold 1"
    );
    assert_eq!(
        line(&settings(10), 3, [4, 0, 0]),
        "lag 4 / 10 = 0.40 → 1 (was 3): hold 3, because 3 were wanted within the stabilization window (30 s left)"
    );
    assert_eq!(
        line(&settings(10), 3, [0, 33, 0]),
        "lag 33 / 10 = 3.30 → 4, capped at 3 partitions → 3 (was 3): hold 3 · payments[1] has 100 % of the lag, and one member reads it: more members do not help"
    );
}

#[test]
fn markers_are_no_lag_and_the_difference_to_keda_is_said() {
    let mut reading = reading(0, 0, 7, [0, 0, 0]);
    reading.partitions[0].end = Some(8);
    let decision = first(&settings(10), &reading);
    assert_eq!(
        decision.to_string(),
        "lag 0 / 10 = 0 → 0 (was 0): hold 0 · KEDA: 1, as it counts 1 more offsets than records"
    );
}

#[test]
fn a_partition_without_a_commit_is_unknown_and_starts_one_member() {
    let mut reading = reading(0, 0, 7, [40, 40, 0]);
    reading.partitions[0].committed = None;
    reading.partitions[0].waiting = Waiting::NothingCommitted;
    let decision = first(&settings(10), &reading);
    assert_eq!((decision.to, decision.hold), (1, Some(Hold::FirstCommit)));
    let zero = Settings {
        scale_to_zero_on_invalid_offset: true,
        ..settings(10)
    };
    assert_eq!(first(&zero, &reading).to, 3);
}

#[test]
fn a_blocked_partition_does_not_scale_and_is_named() {
    let mut reading = reading(0, 1, 41, [500, 3, 0]);
    reading.partitions[0].is_stalled = true;
    let decision = first(&settings(10), &reading);
    assert_eq!((decision.demand.lag, decision.to), (3, 1));
    let line = decision.to_string();
    assert!(line.contains("payments[0] is stuck at offset 41"), "{line}");
    // It keeps its member, however long it is blocked.
    reading.partitions[1].waiting = Waiting::Exactly(0);
    assert_eq!(first(&settings(10), &reading).to, 1);
}

#[test]
fn after_a_step_the_number_is_held_until_the_group_has_committed() {
    let (settings, mut history) = (settings(10), History::default());
    let (decision, _) = turn(&settings, &mut history, &reading(0, 0, 5, [15, 0, 0]));
    assert_eq!(decision.to, 2);
    let (decision, _) = turn(&settings, &mut history, &reading(5, 2, 5, [40, 0, 0]));
    assert_eq!(decision.to, 2);
    assert!(
        matches!(decision.hold, Some(Hold::AfterStep { .. })),
        "{decision}"
    );
    let (decision, _) = turn(&settings, &mut history, &reading(10, 2, 6, [40, 0, 0]));
    assert_eq!(decision.to, 3, "{decision}");
}
