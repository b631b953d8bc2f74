//! Lag compared with `kafka-consumer-groups.sh`.

use std::collections::BTreeMap;

use cluster_reader::{Group, LagCount, LagUndefined, TopicPartition};

use crate::test_cluster::TestCluster;

/// A row that the tool prints. `-` is `None`.
#[derive(Debug, PartialEq, Eq)]
struct ToolRow {
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
}

async fn rows(bootstrap: &str, group: &str) -> BTreeMap<TopicPartition, ToolRow> {
    let printed = test_stack::kafka_tool(
        bootstrap,
        "consumer-groups",
        // The tool's default is 5 s.
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
                ToolRow {
                    committed,
                    end,
                    lag,
                },
            );
        }
    }
    rows
}

/// One case for each partition.
async fn cases(cluster: &TestCluster) -> impl Sized + use<> {
    cluster.topic("cases", 12).await;
    let plain = cluster.producer(&[]);
    let transactions = cluster.transactional("t");
    let commit = |partition, offset| cluster.commit("g", "cases", partition, offset);
    plain.send("cases", 0, 10);
    commit(0, 4);
    plain.send("cases", 1, 10);
    commit(1, 10);
    // Only a marker is left: of a commit, and of an abort.
    transactions.committed("cases", 2, 5);
    commit(2, 5);
    transactions.aborted("cases", 3, 5);
    commit(3, 5);
    transactions.aborted("cases", 4, 5);
    commit(4, 0);
    // Markers and aborted records are among readable records.
    transactions.committed("cases", 5, 3);
    transactions.aborted("cases", 5, 4);
    transactions.committed("cases", 5, 2);
    commit(5, 0);
    plain.send("cases", 6, 40);
    commit(6, 10);
    cluster.delete_records("cases", 6, 30).await;
    commit(7, 0);
    // The committed offset is within an aborted batch.
    transactions.aborted("cases", 8, 6);
    commit(8, 2);
    cluster.marked("cases").await;
    let open = cluster.transactional("open");
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
async fn offsets_equal_those_of_kafkas_tool_and_its_lag_is_our_sum() {
    let mut cluster = TestCluster::shared("tool").await;
    let _open = cases(&cluster).await;
    let found = cluster.group("g").await;
    let printed = rows(&cluster.bootstrap, &cluster.name("g")).await;
    assert_equal(&found, &printed);
    let parts = |partition| {
        let lag = found.partitions[&cluster.at("cases", partition)]
            .lag
            .unwrap();
        let readable = lag.readable.exact().unwrap();
        let scanned = [readable, lag.control_records, lag.aborted_records];
        (scanned, lag.beyond_last_stable, lag.deleted_offsets)
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
        assert_eq!(parts(partition), expected, "partition {partition}");
    }
}

#[tokio::test]
async fn rows_of_live_groups_equal_those_of_kafkas_tool() {
    let mut cluster = TestCluster::shared("live").await;
    cluster.topic("live", 3).await;
    let plain = cluster.producer(&[]);
    plain.send("live", 0, 5);
    plain.send("live", 1, 5);
    for (group, settings) in [
        ("classic", &[][..]),
        ("new", &[("group.protocol", "consumer")][..]),
    ] {
        let _member = cluster.member(group, "live", settings).await;
        let commit = |partition, offset| cluster.commit_as(&_member, "live", partition, offset);
        commit(0, 2);
        let found = cluster.group(group).await;
        let printed = rows(&cluster.bootstrap, &cluster.name(group)).await;
        assert_equal(&found, &printed);
        let lag = |partition| found.partitions[&cluster.at("live", partition)].lag;
        assert_eq!(lag(0).unwrap().readable, LagCount::of(3), "{group}");
        assert_eq!(lag(1), Err(LagUndefined::NothingCommitted), "{group}");
        assert_eq!(lag(2), Err(LagUndefined::NoRecordYet), "{group}");
    }
}

fn assert_equal(found: &Group, printed: &BTreeMap<TopicPartition, ToolRow>) {
    assert_eq!(
        found.partitions.keys().collect::<Vec<_>>(),
        printed.keys().collect::<Vec<_>>()
    );
    for (at, row) in &found.partitions {
        let printed = &printed[at];
        assert_eq!(row.committed, printed.committed, "{at}");
        assert_eq!(
            row.log_offsets.map(|log| log.high_watermark),
            printed.end,
            "{at}"
        );
        let sum = row.lag.ok().map(|lag| {
            lag.readable.exact().unwrap()
                + lag.control_records
                + lag.aborted_records
                + lag.compacted
                + lag.beyond_last_stable
                + lag.deleted_offsets
        });
        assert_eq!(sum, printed.lag, "{at}");
    }
}
