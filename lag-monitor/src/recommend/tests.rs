//! Which commands are recommended when, and which there are at all.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod case;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use cluster_reader::judge::{Finding, Rule, Status};
use cluster_reader::{Lag, TopicPartition};
use proptest::prelude::*;

use super::*;
use case::{Case, GROUP, SLOW, after, snapshot};

fn second(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
}

/// What is recommended after these readings, and the rule that is told.
fn advised(
    case: &Case,
    readings: impl IntoIterator<Item = Snapshot>,
) -> (Rule, Vec<Recommendation>) {
    after(case, readings, |place, judgement| {
        (judgement.rule(), recommend(place, judgement))
    })
}

/// The same after so many seconds in which nothing has changed.
fn recommended(case: &Case, seconds: i64) -> (Rule, Vec<Recommendation>) {
    let moments = BTreeSet::from([0, seconds]).into_iter();
    advised(case, moments.map(|n| snapshot(case, second(n))))
}

fn commands(case: &Case, seconds: i64) -> Vec<String> {
    let (_, all) = recommended(case, seconds);
    all.into_iter().filter_map(|one| one.command).collect()
}

#[test]
fn a_group_with_free_partitions_is_to_be_scaled_to_as_many_and_not_beyond() {
    let all = commands(&SLOW, 0);
    assert_eq!(
        all,
        [
            "./sandbox scale inventory-service=3",
            "./sandbox consumer fast inventory-service --time-ms 0",
            "./sandbox consumer set inventory-service --batch-max 500",
        ]
    );
    let full = commands(&Case { members: 3, ..SLOW }, 0);
    assert!(
        !full.iter().any(|command| command.contains("scale")),
        "{full:?}"
    );
    assert!(
        full.contains(&"./sandbox topics grow payments --partitions 6".to_owned()),
        "{full:?}"
    );
    let wide = commands(
        &Case {
            partitions: 20,
            ..SLOW
        },
        0,
    );
    assert_eq!(wide[0], "./sandbox scale inventory-service=9");
    let widest = commands(
        &Case {
            partitions: 9,
            members: 9,
            ..SLOW
        },
        0,
    );
    assert!(
        !widest.iter().any(|command| command.contains("grow")),
        "{widest:?}"
    );
}

#[test]
fn in_docker_only_inventory_service_is_to_be_scaled() {
    let payment = Case {
        group: "payment-service-group",
        topic: "orders",
        ..SLOW
    };
    let scaled = |case: &Case| {
        commands(case, 0)
            .iter()
            .any(|command| command.contains("scale"))
    };
    assert!(scaled(&payment));
    assert!(!scaled(&Case {
        way: Way::Docker,
        ..payment
    }));
    assert!(scaled(&Case {
        way: Way::Docker,
        ..SLOW
    }));
}

#[test]
fn each_rule_has_its_own_advice() {
    let of = |case: Case, seconds| recommended(&case, seconds);
    let (rule, all) = of(Case { members: 0, ..SLOW }, 0);
    assert_eq!(rule, Rule::NoMembers);
    assert_eq!(
        all[0].command.as_deref(),
        Some("./sandbox up inventory-service")
    );
    assert_eq!(all[0].priority, Priority::High);

    let (rule, all) = of(SLOW, 70);
    assert_eq!(rule, Rule::Stopped);
    assert_eq!(
        all[0].command.as_deref(),
        Some("./sandbox consumer resume inventory-service")
    );

    let (rule, all) = of(
        Case {
            low: 20,
            waiting: 30,
            ..SLOW
        },
        0,
    );
    assert_eq!(rule, Rule::LostRecords);
    assert!(all[0].action.contains("longer"), "{all:?}");

    let (rule, all) = of(
        Case {
            members: 4,
            waiting: 0,
            ..SLOW
        },
        0,
    );
    assert_eq!(rule, Rule::MoreConsumersThanPartitions);
    assert_eq!(
        all[0].command.as_deref(),
        Some("./sandbox scale inventory-service=3")
    );

    let (rule, all) = of(Case { waiting: 0, ..SLOW }, 0);
    assert_eq!((rule, all.len()), (Rule::KeepsUp, 0));
}

#[test]
fn a_record_that_is_never_taken_is_to_be_looked_at_and_then_set_aside_on_both_ways() {
    for way in [Way::Local, Way::Docker] {
        let case = Case {
            way,
            members: 3,
            waiting: 30,
            ..SLOW
        };
        let mut later = snapshot(&case, second(70));
        let rows = &mut later.groups.get_mut(GROUP).unwrap().partitions;
        // On the others all was read.
        for (_, found) in rows.iter_mut().filter(|(at, _)| at.partition > 0) {
            found.committed = Some(40);
            found.lag = found.lag.map(|lag| Lag { readable: 0, ..lag });
        }
        let (rule, all) = advised(&case, [snapshot(&case, second(0)), later]);
        assert_eq!(rule, Rule::Stalled);
        let told = all.iter();
        let told: Vec<_> = told
            .map(|one| (one.action.as_str(), one.command.as_deref().unwrap()))
            .collect();
        let expected = [
            (
                "look at the record that is not taken",
                "./sandbox kafka console-consumer --topic payments --partition 0 --offset 10 --max-messages 1 --timeout-ms 60000",
            ),
            (
                "set records that cannot be taken aside as dead letters",
                "./sandbox restart inventory-service --unset POISON_POLICY",
            ),
            ("read the log", "./sandbox logs --tail 20 inventory-service"),
        ];
        assert_eq!(told, expected);
    }
}

/// The commands that any rule can lead to: for the group of each service, with one member and with one for each partition, and for a
/// group and a topic that a shell would read as two words.
fn every_command(way: Way) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (group, topic) in [
        ("order-service-group", "payments"),
        ("payment-service-group", "payments"),
        (GROUP, "payments"),
        ("it's theirs", "it's theirs"),
    ] {
        for members in [1, 3] {
            let case = Case {
                group,
                topic,
                way,
                members,
                ..SLOW
            };
            let finding = |rule| Finding {
                status: Status::Critical,
                rule,
                partition: Some(TopicPartition {
                    topic: topic.to_owned(),
                    partition: 0,
                }),
                offset: Some(10),
                evidence: String::new(),
            };
            after(&case, [snapshot(&case, second(0))], |place, judgement| {
                let advisor = Advisor::of(place, judgement).unwrap();
                let findings = Rule::ALL.map(finding);
                let advice = findings.iter().flat_map(|one| advisor.about(one));
                all.extend(advice.filter_map(|one| one.command));
            });
        }
    }
    all
}

/// `sandbox` is held against the same list: that each of them is a call it understands.
#[test]
fn every_command_that_can_be_recommended_stands_in_the_list_and_no_other() {
    let list = include_str!("commands.txt").lines().map(str::to_owned);
    let list: BTreeSet<String> = list.collect();
    assert_eq!(every_command(Way::Local), list);
    assert!(every_command(Way::Docker).is_subset(&list));
}

#[test]
fn for_a_group_of_somebody_else_there_are_only_words_and_kafkas_own_tool() {
    let foreign = Case {
        group: "it's \"theirs\"; rm -rf /",
        topic: "clicks",
        ..SLOW
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
fn a_name_is_one_word_of_a_shell_or_none_at_all() {
    let quoted = advice::quoted;
    assert_eq!(quoted("payments").as_deref(), Some("payments"));
    assert_eq!(
        quoted("it's; rm -rf /").as_deref(),
        Some(r"'it'\''s; rm -rf /'")
    );
    assert_eq!(quoted("-rf").as_deref(), Some("'-rf'"));
    for refused in ["", "a\nb", "a\u{0}b", &"a".repeat(250)] {
        assert_eq!(quoted(refused), None);
    }
}

proptest! {
    #[test]
    fn whatever_a_group_is_called_a_shell_reads_its_name_as_one_word(name in ".{1,40}") {
        if let Some(word) = advice::quoted(&name) {
            let plain = word == name;
            let inner = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            // Between the quotes there is no quote but in the one form that ends and begins them anew.
            let safe = inner.is_some_and(|inner| !inner.replace(r"'\''", "").contains('\''));
            prop_assert!(plain || safe, "{word}");
        }
    }
}
