//! The list of all commands that can be recommended.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use chrono::DateTime;
use cluster_reader::TopicPartition;
use cluster_reader::group_health::{Finding, Rule, Status};
use serde_json::json;

use super::test_group::{GROUP_ID, SLOW_GROUP, TestGroup, after, instance, snapshot};
use super::*;

/// No answers, and answers of members with every condition and setting that a command follows from.
fn every_answer() -> [Vec<InstanceReport>; 3] {
    let of = |kind: &str, cause: &str| {
        json!({
            "kind": kind,
            "since": "2026-11-28T03:53:18Z",
            "cause": cause,
            "partitions": [{"topic": "payments", "partition": 0, "first": 10, "last": null}],
            "source": "instance",
        })
    };
    let conditions = json!([
        of("halted", "poison_limit"),
        of("blocked", "POISON_POLICY=block"),
        of(
            "batch_failing",
            "lock timeout on products: held by backend 1 (psql) for 9 s"
        ),
        of("paused", "paused"),
    ]);
    let set_by = |source: &str| {
        json!({
            "config": {
                "processing_time_ms": 2000,
                "paused": true,
                "sources": {"processing_time_ms": source, "paused": source},
            },
            "conditions": conditions,
        })
    };
    [
        Vec::new(),
        vec![
            instance(1, &[0, 1], &set_by("instance")),
            instance(2, &[2], &set_by("environment")),
        ],
        vec![instance(1, &[0, 1, 2], &set_by("group"))],
    ]
}

/// The commands of all rules: for the group of each service, with one member and with one for each
/// partition, with and without answers of the members, and for a group and a topic whose names must
/// be quoted in a shell.
fn every_command(mode: Mode) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (group, topic) in [
        ("order-service-group", "payments"),
        ("payment-service-group", "payments"),
        (GROUP_ID, "payments"),
        ("dlq-replay-inventory.dlq", "inventory.dlq"),
        ("it's theirs", "it's theirs"),
    ] {
        let is_inventory = group == GROUP_ID;
        for members in [1, 3] {
            let group = TestGroup {
                group,
                topic,
                mode,
                members,
                ..SLOW_GROUP
            };
            let answers = every_answer();
            let answers = answers.iter().filter(|one| is_inventory || one.is_empty());
            for instances in answers {
                all.extend(commands_of_all_rules(&group, instances));
            }
        }
    }
    all
}

/// Not limited to what is found: each rule alone.
fn commands_of_all_rules(group: &TestGroup, instances: &[InstanceReport]) -> Vec<String> {
    let finding = |rule| Finding {
        status: Status::Critical,
        rule,
        partition: Some(TopicPartition {
            topic: group.topic.to_owned(),
            partition: 0,
        }),
        offset: Some(10),
        evidence: String::new(),
    };
    let snapshots = [snapshot(group, DateTime::UNIX_EPOCH)];
    after(group, snapshots, instances, |context, health| {
        let actions = GroupActions::of(context, health).unwrap();
        let findings = Rule::ALL.map(finding);
        let recommendations = findings.iter().flat_map(|one| actions.for_finding(one));
        recommendations.filter_map(|one| one.command).collect()
    })
}

/// A test of `sandbox` reads the same list and checks that it can run each command.
#[test]
fn the_list_has_exactly_the_commands_that_can_be_recommended() {
    let list = include_str!("commands.txt").lines().map(str::to_owned);
    let list: BTreeSet<String> = list.collect();
    assert_eq!(every_command(Mode::Local), list);
    assert!(every_command(Mode::Docker).is_subset(&list));
}
