//! Which actions are recommended for which finding, and the list of all commands.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use cluster_reader::group_health::Rule;
use cluster_reader::{Lag, LagCount};
use proptest::prelude::*;

use super::test_group::{GROUP_ID, SLOW_GROUP, TestGroup, after, snapshot};
use super::*;

fn second(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
}

/// The rule that the group's health reports after these snapshots, and the recommendations.
fn recommended_after(
    group: &TestGroup,
    snapshots: impl IntoIterator<Item = Snapshot>,
) -> (Rule, Vec<Recommendation>) {
    after(group, snapshots, &[], |context, health| {
        (health.rule(), recommend(context, health))
    })
}

/// The same after `seconds` without a change.
fn recommended(group: &TestGroup, seconds: i64) -> (Rule, Vec<Recommendation>) {
    let times = BTreeSet::from([0, seconds]).into_iter();
    recommended_after(group, times.map(|n| snapshot(group, second(n))))
}

fn commands(group: &TestGroup, seconds: i64) -> Vec<String> {
    let (_, all) = recommended(group, seconds);
    all.into_iter().filter_map(|one| one.command).collect()
}

#[test]
fn a_group_is_scaled_up_to_one_member_for_each_partition() {
    let all = commands(&SLOW_GROUP, 0);
    assert_eq!(
        all,
        [
            "./sandbox scale inventory-service=3",
            "./sandbox consumer fast inventory-service --time-ms 0",
            "./sandbox consumer set inventory-service --batch-max 500",
        ]
    );
    let full = commands(
        &TestGroup {
            members: 3,
            ..SLOW_GROUP
        },
        0,
    );
    assert!(
        !full.iter().any(|command| command.contains("scale")),
        "{full:?}"
    );
    assert!(
        full.contains(&"./sandbox topics grow payments --partitions 6".to_owned()),
        "{full:?}"
    );
    let wide = commands(
        &TestGroup {
            partitions: 20,
            ..SLOW_GROUP
        },
        0,
    );
    assert_eq!(wide[0], "./sandbox scale inventory-service=9");
    let widest = commands(
        &TestGroup {
            partitions: 9,
            members: 9,
            ..SLOW_GROUP
        },
        0,
    );
    assert!(
        !widest.iter().any(|command| command.contains("grow")),
        "{widest:?}"
    );
}

#[test]
fn in_docker_only_inventory_service_is_scaled() {
    let payment = TestGroup {
        group: "payment-service-group",
        topic: "orders",
        ..SLOW_GROUP
    };
    let is_scaled = |group: &TestGroup| {
        commands(group, 0)
            .iter()
            .any(|command| command.contains("scale"))
    };
    assert!(is_scaled(&payment));
    assert!(!is_scaled(&TestGroup {
        mode: Mode::Docker,
        ..payment
    }));
    assert!(is_scaled(&TestGroup {
        mode: Mode::Docker,
        ..SLOW_GROUP
    }));
}

#[test]
fn each_rule_has_its_own_recommendations() {
    let of = |group: TestGroup, seconds| recommended(&group, seconds);
    let (rule, all) = of(
        TestGroup {
            members: 0,
            ..SLOW_GROUP
        },
        0,
    );
    assert_eq!(rule, Rule::NoMembers);
    assert_eq!(
        all[0].command.as_deref(),
        Some("./sandbox up inventory-service")
    );
    assert_eq!(all[0].priority, Priority::High);

    let (rule, all) = of(SLOW_GROUP, 70);
    assert_eq!(rule, Rule::Stopped);
    assert_eq!(all[0].command.as_deref(), Some("./sandbox status"));

    let (rule, all) = of(
        TestGroup {
            log_start_offset: 20,
            lag: 30,
            ..SLOW_GROUP
        },
        0,
    );
    assert_eq!(rule, Rule::LostRecords);
    assert!(all[0].action.contains("longer"), "{all:?}");

    let (rule, all) = of(
        TestGroup {
            members: 4,
            lag: 0,
            ..SLOW_GROUP
        },
        0,
    );
    assert_eq!(rule, Rule::MoreConsumersThanPartitions);
    assert_eq!(
        all[0].command.as_deref(),
        Some("./sandbox scale inventory-service=3")
    );

    let (rule, all) = of(
        TestGroup {
            lag: 0,
            ..SLOW_GROUP
        },
        0,
    );
    assert_eq!((rule, all.len()), (Rule::KeepsUp, 0));
}

#[test]
fn a_blocking_record_is_inspected_then_sent_to_the_dlq() {
    for mode in [Mode::Local, Mode::Docker] {
        let group = TestGroup {
            mode,
            members: 3,
            lag: 30,
            ..SLOW_GROUP
        };
        let mut later = snapshot(&group, second(70));
        let partitions = &mut later.groups.get_mut(GROUP_ID).unwrap().partitions;
        // The other partitions are caught up.
        for (_, partition) in partitions.iter_mut().filter(|(at, _)| at.partition > 0) {
            partition.committed = Some(40);
            let caught_up = |lag| Lag {
                readable: LagCount::ZERO,
                ..lag
            };
            partition.lag = partition.lag.map(caught_up);
        }
        let (rule, all) = recommended_after(&group, [snapshot(&group, second(0)), later]);
        assert_eq!(rule, Rule::Stalled);
        let actions = all.iter();
        let actions: Vec<_> = actions
            .map(|one| (one.action.as_str(), one.command.as_deref().unwrap()))
            .collect();
        let expected = [
            (
                "look at the record payments/0/10",
                "./sandbox kafka console-consumer --topic payments --partition 0 --offset 10 --max-messages 1 --timeout-ms 60000",
            ),
            (
                "send poison records to the dead-letter topic",
                "./sandbox restart inventory-service --unset POISON_POLICY",
            ),
            ("read the log", "./sandbox logs --tail 20 inventory-service"),
        ];
        assert_eq!(actions, expected);
    }
}

#[test]
fn a_foreign_group_gets_no_command_but_kafkas_own_tool() {
    let foreign = TestGroup {
        group: "it's \"theirs\"; rm -rf /",
        topic: "clicks",
        ..SLOW_GROUP
    };
    for seconds in [0, 70] {
        for one in recommended(&foreign, seconds).1 {
            let command = one.command.unwrap_or_default();
            assert!(
                command.is_empty() || command.starts_with("./sandbox kafka "),
                "{command}"
            );
        }
    }
}

#[test]
fn a_name_is_one_shell_word_or_is_refused() {
    let shell_word = shell::shell_word;
    assert_eq!(shell_word("payments").as_deref(), Some("payments"));
    assert_eq!(
        shell_word("it's; rm -rf /").as_deref(),
        Some(r"'it'\''s; rm -rf /'")
    );
    assert_eq!(shell_word("-rf").as_deref(), Some("'-rf'"));
    for refused in ["", "a\nb", "a\u{0}b", &"a".repeat(250)] {
        assert_eq!(shell_word(refused), None);
    }
}

proptest! {
    #[test]
    fn a_shell_reads_any_quoted_name_as_one_word(name in ".{1,40}") {
        if let Some(word) = shell::shell_word(&name) {
            let is_plain = word == name;
            let inner = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            // Inside the quotes every quote is escaped.
            let is_quoted = inner.is_some_and(|inner| !inner.replace(r"'\''", "").contains('\''));
            prop_assert!(is_plain || is_quoted, "{word}");
        }
    }
}
