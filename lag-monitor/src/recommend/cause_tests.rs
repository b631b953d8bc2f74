//! Recommendations that follow from what the members say. The answers are JSON as services send it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use chrono::{DateTime, TimeDelta};
use cluster_reader::Lag;
use cluster_reader::group_health::Rule;
use serde_json::{Value, json};

use super::test_group::{SLOW_GROUP, TestGroup, after, instance, silent_instance, snapshot};
use super::*;
use crate::instances::InstanceReport;

/// 300 records wait on each of three partitions, each with a member of its own, for 70 seconds.
fn found(instances: &[InstanceReport]) -> (Rule, String, Vec<Recommendation>) {
    found_with_lag_on(&[0, 1, 2], instances)
}

/// The same with records on these partitions only.
fn found_with_lag_on(
    lagging: &[i32],
    instances: &[InstanceReport],
) -> (Rule, String, Vec<Recommendation>) {
    let group = TestGroup {
        members: 3,
        ..SLOW_GROUP
    };
    let snapshots = [0, 70].map(|second| {
        let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        let mut taken = snapshot(&group, at);
        let partitions = &mut taken.groups.get_mut(group.group).unwrap().partitions;
        for (at, row) in partitions {
            if !lagging.contains(&at.partition) {
                row.committed = row.log_offsets.map(|log| log.high_watermark);
                row.lag = Ok(Lag::default());
            }
        }
        taken
    });
    after(&group, snapshots, instances, |context, health| {
        let recommendations = recommend(context, health);
        (health.rule(), health.evidence().to_owned(), recommendations)
    })
}

fn commands(recommendations: &[Recommendation]) -> Vec<&str> {
    let commands = recommendations.iter();
    commands.filter_map(|one| one.command.as_deref()).collect()
}

/// Three members; the second answers with these changes.
fn with_second(changes: &Value) -> [InstanceReport; 3] {
    [
        instance(1, &[0], &json!({})),
        instance(2, &[1], changes),
        instance(3, &[2], &json!({})),
    ]
}

fn all_with(changes: &Value) -> [InstanceReport; 3] {
    [1, 2, 3].map(|n| instance(n, &[i32::try_from(n).unwrap() - 1], changes))
}

fn condition(kind: &str, cause: &str, partitions: &Value, source: &Value) -> Value {
    json!({
        "kind": kind,
        "since": "2026-11-28T03:53:18Z",
        "cause": cause,
        "partitions": partitions,
        "source": source,
    })
}

fn paused(source: &str) -> Value {
    let cause = "paused by its group's record in sandbox.controls";
    json!({
        "paused": true,
        "config": {
            "paused": true,
            "sources": {"paused": source},
            "since": {"paused": "2026-11-28T03:53:18Z"},
        },
        "conditions": [condition("paused", cause, &json!([]), &json!(source))],
    })
}

fn slow(source: &str) -> Value {
    json!({
        "processing_time_ms": 4000,
        "config": {
            "processing_time_ms": 4000,
            "batch_max": 1,
            "sources": {"processing_time_ms": source, "batch_max": source},
            "since": {"processing_time_ms": "2026-11-28T03:58:28Z"},
        },
    })
}

fn at(partition: i32, first: i64, last: Option<i64>) -> Value {
    json!([{"topic": "payments", "partition": partition, "first": first, "last": last}])
}

#[test]
fn a_group_paused_by_a_control_is_resumed_and_nothing_else() {
    let (rule, evidence, all) = found(&all_with(&paused("group")));
    assert_eq!(rule, Rule::Paused);
    assert!(
        evidence.starts_with(
            "all 3 members are paused by a control of the group since 2026-11-28 03:53:18"
        ),
        "{evidence}"
    );
    assert_eq!(
        commands(&all),
        ["./sandbox consumer resume inventory-service"]
    );
}

#[test]
fn a_member_paused_for_itself_is_resumed_alone() {
    let (rule, _, all) = found(&with_second(&paused("instance")));
    assert_eq!(rule, Rule::Paused);
    assert_eq!(
        commands(&all)[0],
        "./sandbox consumer resume inventory-service.2"
    );
    let useless = ["scale", "grow", "batch-max", "fast"];
    for command in commands(&all) {
        assert!(
            !useless.iter().any(|word| command.contains(word)),
            "{all:?}"
        );
    }
}

#[test]
fn a_member_that_is_slow_by_its_settings_is_made_fast_where_they_were_set() {
    for (answers, command) in [
        (
            with_second(&slow("instance")),
            "./sandbox consumer fast inventory-service.2 --time-ms 0",
        ),
        (
            all_with(&slow("group")),
            "./sandbox consumer fast inventory-service --time-ms 0",
        ),
        (
            all_with(&slow("environment")),
            "./sandbox restart inventory-service --unset PROCESSING_TIME_MS",
        ),
    ] {
        let (_, _, all) = found(&answers);
        let commands = commands(&all);
        assert!(commands.contains(&command), "{commands:?}");
        let useless = ["scale", "grow", "batch-max", "resume"];
        let is_useless = |one: &&&str| useless.iter().any(|word| one.contains(word));
        assert_eq!(commands.iter().find(is_useless), None, "{commands:?}");
    }
}

#[test]
fn the_record_that_a_member_is_blocked_at_is_looked_at() {
    let cause =
        "partition payments/1 blocked at offset 226 by POISON_POLICY=block: event of order 7";
    let blocked = condition("blocked", cause, &at(1, 226, None), &Value::Null);
    let (rule, evidence, all) =
        found_with_lag_on(&[1], &with_second(&json!({"conditions": [blocked]})));
    assert_eq!(rule, Rule::Blocked);
    assert_eq!(
        evidence,
        format!("inventory-service.2: {cause} (since 2026-11-28 03:53:18 UTC)")
    );
    assert_eq!(
        commands(&all),
        [
            "./sandbox kafka console-consumer --topic payments --partition 1 --offset 226 --max-messages 1 --timeout-ms 60000",
            "./sandbox restart inventory-service --unset POISON_POLICY",
            "./sandbox logs --tail 20 inventory-service",
        ]
    );
}

#[test]
fn a_halted_member_is_not_resumed_before_its_dead_letters_were_looked_at() {
    let cause = "poison_limit: 50 poison records in a row, the last at payments/1 offset 226; POST /resume goes on";
    let halted = condition("halted", cause, &at(1, 226, None), &Value::Null);
    let (rule, _, all) = found_with_lag_on(&[1], &with_second(&json!({"conditions": [halted]})));
    assert_eq!(rule, Rule::Halted);
    assert_eq!(
        commands(&all),
        [
            "./sandbox dlq list inventory.dlq --waiting",
            "./sandbox kafka console-consumer --topic payments --partition 1 --offset 226 --max-messages 1 --timeout-ms 60000",
            "./sandbox logs --tail 20 inventory-service",
        ]
    );
    assert!(
        all[0]
            .reason
            .contains("consumer resume inventory-service.2")
    );
}

#[test]
fn the_session_that_holds_the_lock_of_a_failing_batch_is_looked_at() {
    let cause = "batch failing at payments/1 offsets 226 to 233: lock timeout on products: held by backend 22693 (psql) for 9 s";
    let failing = condition("batch_failing", cause, &at(1, 226, Some(233)), &Value::Null);
    let (rule, _, all) = found_with_lag_on(&[1], &with_second(&json!({"conditions": [failing]})));
    assert_eq!(rule, Rule::BatchFailing);
    let sessions = commands(&all);
    assert!(
        sessions[0].starts_with("./sandbox psql inventory_db") && sessions[0].contains("22693"),
        "{sessions:?}"
    );
    assert!(sessions[1].contains("pg_terminate_backend(22693)"));
    assert_eq!(sessions[2], "./sandbox logs --tail 20 inventory-service");
    assert_eq!(sessions.len(), 3);
}

#[test]
fn a_group_that_stopped_for_an_unknown_reason_is_never_resumed() {
    for answers in [
        all_with(&json!({})).to_vec(),
        Vec::new(),
        vec![silent_instance(1)],
    ] {
        let (rule, _, all) = found(&answers);
        assert_eq!(rule, Rule::Stopped);
        let commands = commands(&all);
        assert!(
            !commands.iter().any(|one| one.contains("resume")),
            "{commands:?}"
        );
        let is_known = answers.len() == 3;
        assert_eq!(
            commands.contains(&"./sandbox status"),
            !is_known,
            "{commands:?}"
        );
    }
}

#[test]
fn members_that_are_not_slow_by_their_settings_are_not_made_fast() {
    let group = TestGroup {
        members: 1,
        ..SLOW_GROUP
    };
    let of = |answers: &[InstanceReport]| {
        let first = snapshot(&group, DateTime::UNIX_EPOCH);
        after(&group, [first], answers, recommend)
    };
    let all = of(&[instance(1, &[0, 1, 2], &json!({}))]);
    assert_eq!(commands(&all), ["./sandbox scale inventory-service=3"]);
    let single = json!({"config": {"batch_max": 1, "sources": {"batch_max": "group"}}});
    let all = of(&[instance(1, &[0, 1, 2], &single)]);
    assert_eq!(
        commands(&all),
        [
            "./sandbox scale inventory-service=3",
            "./sandbox consumer set inventory-service --batch-max 500",
        ]
    );
    // Three times 90 records: no member alone is above the threshold.
    let few = TestGroup {
        members: 3,
        lag: 90,
        ..SLOW_GROUP
    };
    let first = snapshot(&few, DateTime::UNIX_EPOCH);
    let all = after(&few, [first], &all_with(&slow("group")), recommend);
    assert_eq!(
        commands(&all),
        ["./sandbox consumer fast inventory-service --time-ms 0"]
    );
}

#[test]
fn a_group_that_no_one_starts_is_not_started() {
    for (group, topic, expected) in [
        (
            "dlq-replay-inventory.dlq",
            "inventory.dlq",
            "./sandbox dlq list inventory.dlq --waiting",
        ),
        (
            "console-consumer-77",
            "payments",
            "./sandbox kafka consumer-groups --describe --group console-consumer-77",
        ),
    ] {
        let group = TestGroup {
            group,
            topic,
            members: 0,
            ..SLOW_GROUP
        };
        let first = snapshot(&group, DateTime::UNIX_EPOCH);
        let (rule, all) = after(&group, [first], &[], |context, health| {
            (health.rule(), recommend(context, health))
        });
        assert_eq!(rule, Rule::NoMembers);
        assert_eq!(commands(&all), [expected]);
        assert!(!all[0].action.contains("start"), "{all:?}");
        assert_ne!(all[0].priority, Priority::High);
    }
}
