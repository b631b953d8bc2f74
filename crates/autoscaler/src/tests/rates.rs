//! What is measured over several readings.

use std::time::Duration;

use super::{reading, settings, turn};
use crate::{History, Settings, StepEffect};

#[test]
fn the_effect_of_a_step_is_measured_with_the_new_number_of_members() {
    let (settings, mut history) = (settings(10), History::default());
    let mut effects = Vec::new();
    // One member reads 1 record a second of each partition, three read 3.
    for (seconds, replicas, read) in [
        (0, 1, 0),
        (5, 3, 5),
        (10, 3, 20),
        (15, 3, 35),
        (20, 3, 50),
        (25, 3, 65),
    ] {
        let (_, effect) = turn(
            &settings,
            &mut history,
            &reading(seconds, replicas, read, [90, 90, 90]),
        );
        effects.extend(effect);
    }
    let [effect] = effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((effect.from, effect.to, effect.after), (1, 3, 9.0));
    let known = StepEffect {
        before: Some(3.0),
        ..effect
    };
    assert_eq!(
        known.to_string(),
        "did it help? 1 member read 3.00 records/s, 3 members 9.00: faster"
    );
}

#[test]
fn a_drain_target_uses_the_rate_of_a_busy_member() {
    let settings = Settings {
        target_drain: Some(Duration::from_secs(30)),
        ..settings(10)
    };
    let mut history = History::default();
    let (decision, _) = turn(&settings, &mut history, &reading(0, 1, 0, [100, 100, 100]));
    assert_eq!(decision.to, 1, "{decision}");
    // 6 records a second are read, none is written.
    let (decision, _) = turn(&settings, &mut history, &reading(5, 1, 10, [90, 90, 90]));
    assert!(
        decision.to_string().starts_with(
            "lag 270: (270/30 s + 0.00/s written) / 6.00/s of a member = 1.50 → 2 (was 1): up"
        ),
        "{decision}"
    );
}
