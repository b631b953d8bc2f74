//! Which commands are recommended when, and that each of them is one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use cluster_reader::judge::{History, Rule, Thresholds, judge};
use cluster_reader::{
    Ends, Group, GroupMember, Lag, Owner, PartitionLag, Protocol, Snapshot, TopicPartition,
};
use proptest::prelude::*;

use super::*;

const GROUP: &str = "inventory-service-group";

struct Case {
    group: &'static str,
    topic: &'static str,
    way: Way,
    partitions: i32,
    members: usize,
    waiting: i64,
    low: i64,
}

const SLOW: Case = Case {
    group: GROUP,
    topic: "payments",
    way: Way::Local,
    partitions: 3,
    members: 1,
    waiting: 300,
    low: 0,
};

fn member(n: usize, owns: Vec<TopicPartition>) -> GroupMember {
    GroupMember {
        owner: Owner {
            member_id: format!("m{n}"),
            client_id: "c".to_owned(),
            host: "h".to_owned(),
        },
        instance_id: None,
        owns,
    }
}

fn snapshot(case: &Case, at: DateTime<Utc>) -> Snapshot {
    let places = (0..case.partitions).map(|partition| TopicPartition {
        topic: case.topic.to_owned(),
        partition,
    });
    let places: Vec<TopicPartition> = places.collect();
    let (low, stable, high) = (case.low, 10 + case.waiting, 10 + case.waiting);
    let ends = Ends { low, stable, high };
    let lag = Lag {
        readable: case.waiting,
        at_least: false,
        control_records: 0,
        aborted_records: 0,
        beyond_stable: 0,
        lost: (low - 10).max(0),
        oldest_unread: None,
    };
    let mut members: Vec<_> = (0..case.members).map(|n| member(n, Vec::new())).collect();
    for (n, place) in places
        .iter()
        .enumerate()
        .take(if members.is_empty() { 0 } else { 99 })
    {
        let count = members.len();
        members[n % count].owns.push(place.clone());
    }
    let found = |place: &TopicPartition| PartitionLag {
        committed: Some(10),
        ends: Some(ends),
        owner: members
            .iter()
            .find(|one| one.owns.contains(place))
            .map(|one| one.owner.clone()),
        lag: Ok(lag),
    };
    let group = Group {
        state: if members.is_empty() {
            "Empty"
        } else {
            "Stable"
        }
        .to_owned(),
        protocol: Protocol::Classic,
        partitions: places
            .iter()
            .map(|place| (place.clone(), found(place)))
            .collect(),
        members,
    };
    let numbers = places.iter().map(|place| (place.partition, ends));
    Snapshot {
        taken_at: at,
        groups: BTreeMap::from([(case.group.to_owned(), group)]),
        topics: BTreeMap::from([(case.topic.to_owned(), numbers.collect())]),
    }
}

fn recommended(case: &Case, seconds: i64) -> (Rule, Vec<Recommendation>) {
    let mut history = History::default();
    let start = DateTime::UNIX_EPOCH;
    history.add(snapshot(case, start));
    if seconds > 0 {
        history.add(snapshot(case, start + TimeDelta::seconds(seconds)));
    }
    let latest = history.latest().unwrap();
    let judgement = judge(
        &history,
        case.group,
        Some(case.topic),
        Thresholds::default(),
    )
    .unwrap();
    let place = Place {
        way: case.way,
        prefix: &NamePrefix::default(),
        snapshot: latest,
        group: case.group,
        topic: case.topic,
    };
    (judgement.rule(), recommend(place, &judgement))
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
