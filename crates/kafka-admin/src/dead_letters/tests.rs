//! The state of a dead letter, from its outcome records and the position. Pure.

use super::*;
use crate::dead_letter_outcomes::tests::outcome_record;
use crate::replay_decision::tests::{dead_letter_record, targets};

fn states(records: Vec<Record>, position: i64, limit: usize) -> Vec<(i64, &'static str)> {
    let (records, outcomes) = split_outcomes(records);
    let position = ReplayPosition::from([(0, position)]);
    let all = records
        .into_iter()
        .map(|record| with_state(record, &outcomes, &position, &targets(limit)));
    all.map(|one| {
        let state = match (&one.state, one.refusal()) {
            (_, Some(_)) => "refused",
            (DeadLetterState::Waiting(_), None) => "waiting",
            (DeadLetterState::Replayed, _) => "replayed",
            (DeadLetterState::Discarded { .. }, _) => "discarded",
        };
        (one.record.offset, state)
    })
    .collect()
}

#[test]
fn a_refused_dead_letter_waits_until_it_is_replayed_or_discarded() {
    let noise = |offset| {
        let mut random = fastrand::Rng::with_seed(7);
        let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(3_000)
            .collect();
        dead_letter_record(0, offset, &value)
    };
    let mut records = vec![
        dead_letter_record(0, 0, b"value"),
        noise(1),
        dead_letter_record(0, 2, b"value"),
    ];
    let before = states(records.clone(), 0, 1_000);
    assert_eq!(before, [(0, "waiting"), (1, "refused"), (2, "waiting")]);

    records.push(outcome_record(0, 3, 1, Outcome::Refused));
    let after = states(records.clone(), 3, 1_000);
    assert_eq!(after, [(0, "replayed"), (1, "refused"), (2, "replayed")]);
    // Its topic takes larger records now.
    let raised = states(records.clone(), 3, 1_000_000);
    assert_eq!(raised, [(0, "replayed"), (1, "waiting"), (2, "replayed")]);

    let mut replayed = records.clone();
    replayed.push(outcome_record(0, 4, 1, Outcome::Replayed));
    assert_eq!(states(replayed, 3, 1_000)[1], (1, "replayed"));
    records.push(outcome_record(0, 4, 1, Outcome::Discarded));
    assert_eq!(states(records, 3, 1_000)[1], (1, "discarded"));
}

#[test]
fn a_dead_letter_after_the_position_can_be_discarded_too() {
    let records = vec![
        dead_letter_record(0, 0, b"value"),
        outcome_record(0, 1, 0, Outcome::Discarded),
    ];
    assert_eq!(states(records, 0, 1_000), [(0, "discarded")]);
}

#[test]
fn what_no_replay_can_publish_was_never_replayed() {
    let mut invalid = dead_letter_record(0, 0, b"value");
    invalid.headers = Some(Vec::new());
    assert_eq!(states(vec![invalid], 5, 1_000), [(0, "refused")]);
}
