use super::*;

fn controls(json: &str) -> GroupControls {
    GroupControls::decode(json.as_bytes()).unwrap()
}

#[test]
fn written_controls_are_read_and_unknown_fields_are_ignored() {
    let all = GroupControls {
        processing_time_ms: Some(2_000),
        batch_max: Some(1),
        paused: Some(true),
        crash_at: Some("effect-committed:3".parse().unwrap()),
        crash_at_repeat: Some(true),
        crash_at_since: DateTime::from_timestamp(1_000, 5),
        protection_off: Some(OrNone(None)),
    };
    let value = serde_json::to_vec(&all).unwrap();
    assert_eq!(GroupControls::decode(&value), Ok(all));
    let some = controls(r#" {"paused": null, "batch_max": 7, "colour": [1]}"#);
    assert_eq!(
        some,
        GroupControls {
            batch_max: Some(7),
            ..GroupControls::default()
        }
    );
}

#[test]
fn invalid_controls_are_classified() {
    let decode_error = |value: &[u8]| GroupControls::decode(value).unwrap_err();
    for value in [
        &b""[..],
        b"{",
        b"null",
        b"[2000, 1, true]",
        b"1",
        b"{\"paused\": \xff}",
        b"{} {}",
    ] {
        assert_eq!(
            decode_error(value),
            InvalidControls::NotAnObject,
            "{value:?}"
        );
    }
    for value in [
        r#"{"processing_time_ms": 120001}"#,
        r#"{"processing_time_ms": -1}"#,
        r#"{"processing_time_ms": "2000"}"#,
        r#"{"batch_max": 0}"#,
        r#"{"batch_max": 1.5}"#,
        r#"{"paused": "yes"}"#,
        r#"{"batch_max": 1, "batch_max": 2}"#,
        r#"{"crash_at": "nowhere"}"#,
        r#"{"crash_at": "batch-collected:0"}"#,
        r#"{"crash_at_repeat": true}"#,
        r#"{"crash_at": "none", "crash_at_since": "yesterday"}"#,
        r#"{"protection_off": true}"#,
    ] {
        let error = decode_error(value.as_bytes());
        assert!(matches!(error, InvalidControls::OutOfBounds(_)), "{value}");
    }
    for value in [r#"{}"#, r#"{"colour": 1}"#, r#"{"paused": null}"#] {
        assert_eq!(
            decode_error(value.as_bytes()),
            InvalidControls::NoKnownField
        );
    }
}

#[test]
fn a_processing_time_without_batch_max_implies_batch_max() {
    for (given, batch_max) in [
        (r#"{"processing_time_ms": 1}"#, Some(1)),
        (r#"{"processing_time_ms": 0}"#, Some(BATCH_MAX_DEFAULT)),
        (r#"{"processing_time_ms": 1, "batch_max": 9}"#, Some(9)),
        (r#"{"processing_time_ms": 0, "batch_max": 9}"#, Some(9)),
        (r#"{"paused": true}"#, None),
    ] {
        assert_eq!(
            controls(given).with_implied_batch_max().batch_max,
            batch_max,
            "{given}"
        );
    }
}

#[test]
fn newer_fields_override_and_an_old_resume_is_not_repeated() {
    let slow = GroupControls::default().merged(controls(r#"{"processing_time_ms": 2000}"#));
    assert_eq!(
        (slow.processing_time_ms, slow.batch_max),
        (Some(2_000), Some(1))
    );
    let batches = slow.merged(controls(r#"{"batch_max": 100}"#));
    let each = batches
        .clone()
        .merged(controls(r#"{"processing_time_ms": 50}"#));
    assert_eq!(batches.batch_max, Some(100));
    assert_eq!(
        (each.processing_time_ms, each.batch_max),
        (Some(50), Some(1))
    );
    let paused = each.merged(controls(r#"{"paused": true}"#));
    assert_eq!(
        paused
            .clone()
            .merged(controls(r#"{"batch_max": 2}"#))
            .paused,
        Some(true)
    );
    let resumed = paused.merged(controls(r#"{"paused": false}"#));
    assert_eq!(resumed.paused, Some(false));
    assert_eq!(resumed.merged(controls(r#"{"batch_max": 2}"#)).paused, None);
}

#[test]
fn a_merge_keeps_an_older_crash_point_with_its_time() {
    let once =
        controls(r#"{"crash_at": "batch-collected", "crash_at_since": "2026-11-01T00:00:00Z"}"#);
    let slow = once
        .clone()
        .merged(controls(r#"{"processing_time_ms": 5}"#));
    assert_eq!(
        (slow.crash_at, slow.crash_at_since),
        (once.crash_at, once.crash_at_since)
    );
    let repeated = slow.merged(controls(
        r#"{"crash_at": "batch-collected", "crash_at_repeat": true}"#,
    ));
    assert_eq!(
        (repeated.crash_at_repeat, repeated.crash_at_since),
        (Some(true), None)
    );
    let ended = repeated.merged(controls(r#"{"crash_at": "none"}"#));
    assert_eq!(
        (ended.crash_at, ended.crash_at_repeat),
        (Some(OrNone(None)), None)
    );
}

#[test]
fn faults_are_named_and_can_be_left_out() {
    let rows: [(&str, &[&str]); 5] = [
        (r#"{"processing_time_ms": 30000, "batch_max": 1}"#, &[]),
        (r#"{"processing_time_ms": 30001}"#, &["processing_time_ms"]),
        (r#"{"crash_at": "none", "protection_off": "none"}"#, &[]),
        (
            r#"{"crash_at": "batch-collected", "crash_at_repeat": true, "paused": true}"#,
            &["crash_at"],
        ),
        (r#"{"protection_off": "outbox"}"#, &["protection_off"]),
    ];
    for (given, faults) in rows {
        let given = controls(given);
        assert_eq!(given.faults(), faults);
        let safe = given.without_faults();
        assert!(safe.faults().is_empty() && safe.validate().is_ok());
    }
}

proptest::proptest! {
    #[test]
    fn no_value_panics(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
        let _ = GroupControls::decode(&value);
    }
}
