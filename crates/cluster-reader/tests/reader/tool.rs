//! Held against Kafka's own tool.

use std::collections::BTreeMap;

use cluster_reader::{Group, NoLag, TopicPartition};

use crate::rig::Rig;

/// What the tool prints of a partition. `-` is `None`.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
}

async fn rows(bootstrap: &str, group: &str) -> BTreeMap<TopicPartition, Row> {
    let printed = test_stack::kafka_tool(
        bootstrap,
        "consumer-groups",
        // Its own patience is 5 s.
        &["--timeout", "60000", "--describe", "--group", group],
    )
    .await;
    let mut rows = BTreeMap::new();
    for line in printed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, topic, partition, committed, end, lag, ..] = words[..] else {
            continue;
        };
        if name == group {
            let at = TopicPartition {
                topic: topic.to_owned(),
                partition: partition.parse().unwrap(),
            };
            let [committed, end, lag] = [committed, end, lag].map(|word| word.parse().ok());
            rows.insert(
                at,
                Row {
                    committed,
                    end,
                    lag,
                },
            );
        }
    }
    rows
}

/// Every case of the tool's table, one a partition.
async fn cases(rig: &Rig) -> impl Sized + use<> {
    rig.topic("cases", 12).await;
    let plain = rig.producer(&[]);
    let transactions = rig.transactional("t");
    let commit = |partition, offset| rig.commit("g", "cases", partition, offset);
    plain.send("cases", 0, 10);
    commit(0, 4);
    plain.send("cases", 1, 10);
    commit(1, 10);
    // Only a marker is left, of a commit and of an abort.
    transactions.committed("cases", 2, 5);
    commit(2, 5);
    transactions.aborted("cases", 3, 5);
    commit(3, 5);
    transactions.aborted("cases", 4, 5);
    commit(4, 0);
    // From the beginning: markers and aborted records among readable ones.
    transactions.committed("cases", 5, 3);
    transactions.aborted("cases", 5, 4);
    transactions.committed("cases", 5, 2);
    commit(5, 0);
    plain.send("cases", 6, 40);
    commit(6, 10);
    rig.delete_records("cases", 6, 30).await;
    commit(7, 0);
    // Committed beyond an aborted batch's beginning, and nothing at all committed: there is no row.
    transactions.aborted("cases", 8, 6);
    commit(8, 2);
    rig.marked("cases").await;
    let open = rig.transactional("open");
    open.begin();
    open.send("cases", 9, 5);
    plain.send("cases", 9, 2);
    commit(9, 0);
    plain.send("cases", 10, 4);
    open.send("cases", 10, 5);
    commit(10, 2);
    open.send("cases", 11, 5);
    plain.send("cases", 11, 2);
    commit(11, 6);
    open
}

#[tokio::test]
async fn committed_and_end_offsets_are_those_of_kafkas_own_tool_and_its_lag_is_the_sum_of_ours() {
    let mut rig = Rig::shared("tool").await;
    let _open = cases(&rig).await;
    let found = rig.group("g").await;
    let told = rows(&rig.bootstrap, &rig.name("g")).await;
    equal(&found, &told);
    let figures = |partition| {
        let lag = found.partitions[&rig.at("cases", partition)].lag.unwrap();
        assert!(!lag.at_least, "{partition}");
        let parts = [lag.readable, lag.control_records, lag.aborted_records];
        (parts, lag.beyond_stable, lag.lost)
    };
    let expected = [
        ([6, 0, 0], 0, 0),
        ([0, 0, 0], 0, 0),
        ([0, 1, 0], 0, 0),
        ([0, 1, 0], 0, 0),
        ([0, 1, 5], 0, 0),
        ([5, 3, 4], 0, 0),
        ([10, 0, 0], 0, 20),
        ([0, 0, 0], 0, 0),
        ([0, 1, 4], 0, 0),
        ([0, 0, 0], 7, 0),
        ([2, 0, 0], 5, 0),
        ([0, 0, 0], 1, 0),
    ];
    for (partition, expected) in (0..).zip(expected) {
        assert_eq!(figures(partition), expected, "partition {partition}");
    }
}

#[tokio::test]
async fn rows_of_live_groups_are_those_of_kafkas_own_tool() {
    let mut rig = Rig::shared("live").await;
    rig.topic("live", 3).await;
    let plain = rig.producer(&[]);
    plain.send("live", 0, 5);
    plain.send("live", 1, 5);
    for (group, settings) in [
        ("classic", &[][..]),
        ("new", &[("group.protocol", "consumer")][..]),
    ] {
        let _member = rig.member(group, "live", settings).await;
        let commit = |partition, offset| rig.commit_as(&_member, "live", partition, offset);
        commit(0, 2);
        let found = rig.group(group).await;
        let told = rows(&rig.bootstrap, &rig.name(group)).await;
        equal(&found, &told);
        let lag = |partition| found.partitions[&rig.at("live", partition)].lag;
        assert_eq!(lag(0).unwrap().readable, 3, "{group}");
        assert_eq!(lag(1), Err(NoLag::NothingCommitted), "{group}");
        assert_eq!(lag(2), Err(NoLag::NoRecordYet), "{group}");
    }
}

fn equal(found: &Group, told: &BTreeMap<TopicPartition, Row>) {
    assert_eq!(
        found.partitions.keys().collect::<Vec<_>>(),
        told.keys().collect::<Vec<_>>()
    );
    for (at, row) in &found.partitions {
        let told = &told[at];
        assert_eq!(row.committed, told.committed, "{at}");
        assert_eq!(row.ends.map(|ends| ends.high), told.end, "{at}");
        let sum = row.lag.ok().map(|lag| {
            lag.readable + lag.control_records + lag.aborted_records + lag.beyond_stable + lag.lost
        });
        assert_eq!(sum, told.lag, "{at}");
    }
}
