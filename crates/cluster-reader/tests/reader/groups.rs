//! Groups and members in a snapshot.

use cluster_reader::{LagCount, LagUndefined, Protocol};
use rdkafka::consumer::Consumer;

use crate::test_cluster::{PATIENCE, TestCluster};

#[tokio::test]
async fn members_and_owners_are_read_for_both_protocols() {
    let mut cluster = TestCluster::shared("members").await;
    cluster.topic("t", 2).await;
    for (group, protocol, settings) in [
        (
            "classic",
            Protocol::Classic,
            &[("group.instance.id", "i-1")][..],
        ),
        (
            "new",
            Protocol::Consumer,
            &[("group.protocol", "consumer")][..],
        ),
    ] {
        let _member = cluster.member(group, "t", settings).await;
        let found = cluster.group(group).await;
        assert_eq!((found.state.as_str(), found.protocol), ("Stable", protocol));
        let [member] = &found.members[..] else {
            panic!("{found:?}");
        };
        assert_eq!(member.assignment, [cluster.at("t", 0), cluster.at("t", 1)]);
        assert_eq!(member.owner.client_id, format!("member-of-{group}"));
        assert!(member.owner.host.contains("127.0.0.1"), "{member:?}");
        assert_eq!(member.instance_id.is_some(), protocol == Protocol::Classic);
        let owner = &found.partitions[&cluster.at("t", 1)].owner;
        assert_eq!(owner.as_ref(), Some(&member.owner));
    }
}

#[tokio::test]
async fn a_group_without_members_keeps_its_lag() {
    let mut cluster = TestCluster::shared("empty").await;
    cluster.topic("t", 1).await;
    cluster.producer(&[]).send("t", 0, 7);
    let member = cluster.member("g", "t", &[]).await;
    cluster.commit_as(&member, "t", 0, 3);
    member.unsubscribe();
    drop(member);
    let found = test_stack::eventually(PATIENCE, "the group is empty", async || {
        let found = cluster.group("g").await;
        match found.state.as_str() {
            "Empty" => Ok(found),
            other => Err(other.to_owned()),
        }
    })
    .await;
    let row = &found.partitions[&cluster.at("t", 0)];
    assert_eq!(
        (row.lag.unwrap().readable, row.owner.as_ref()),
        (LagCount::of(4), None)
    );
}

#[tokio::test]
async fn a_partition_with_markers_only_has_no_record_yet() {
    let mut cluster = TestCluster::shared("no-record").await;
    cluster.topic("t", 3).await;
    let transactions = cluster.transactional("t");
    transactions.aborted("t", 0, 3);
    transactions.aborted("t", 1, 3);
    transactions.committed("t", 1, 1);
    cluster.marked("t").await;
    let _member = cluster.member("g", "t", &[]).await;
    let found = cluster.group("g").await;
    let lags: Vec<_> = found.partitions.values().map(|row| row.lag).collect();
    let expected = [
        Err(LagUndefined::NoRecordYet),
        Err(LagUndefined::NothingCommitted),
        Err(LagUndefined::NoRecordYet),
    ];
    assert_eq!(lags, expected);
    assert!(!found.lag_at_most(100));
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_in_no_snapshot() {
    let mut cluster = TestCluster::shared("absent").await;
    cluster.topic("t", 1).await;
    cluster.commit("g", "t", 0, 0);
    let name = cluster.name("absent");
    cluster.reader.remember(&name);
    let snapshot = cluster.snapshot().await;
    assert!(!snapshot.groups.contains_key(&name));
    assert!(snapshot.groups.contains_key(&cluster.name("g")));
    assert_eq!(snapshot.topics[&cluster.name("t")].len(), 1);
}

#[tokio::test]
async fn a_group_that_was_deleted_is_forgotten() {
    let mut cluster = TestCluster::shared("deleted").await;
    cluster.topic("t", 1).await;
    cluster.commit("g", "t", 0, 0);
    cluster.group("g").await;
    let name = cluster.name("g");
    let options = rdkafka::admin::AdminOptions::new();
    cluster
        .admin()
        .delete_groups(&[&name], &options)
        .await
        .unwrap();
    assert!(!cluster.snapshot().await.groups.contains_key(&name));
}

#[tokio::test]
async fn a_commit_beyond_the_end_and_a_deleted_topic_have_no_lag() {
    let mut cluster = TestCluster::shared("rewound").await;
    cluster.topic("t", 1).await;
    cluster.topic("gone", 1).await;
    let plain = cluster.producer(&[]);
    plain.send("t", 0, 3);
    plain.send("gone", 0, 3);
    cluster.commit("g", "t", 0, 100);
    cluster.commit("g", "gone", 0, 1);
    assert_eq!(
        cluster.lag("g", "t", 0).await,
        Err(LagUndefined::CommittedBeyondEnd)
    );
    let gone = cluster.lag("g", "gone", 0).await.unwrap();
    assert_eq!(gone.readable, LagCount::of(2));
    cluster.delete_topic("gone").await;
    // A poll may be incomplete between the deletion of the topic and that of its partitions.
    let found = test_stack::eventually(PATIENCE, "the topic is gone", async || {
        let (name, topic) = (cluster.name("g"), cluster.name("gone"));
        match cluster.reader.poll().await {
            Ok(snapshot) if !snapshot.topics.contains_key(&topic) => {
                Ok(snapshot.groups[&name].clone())
            }
            Ok(_) => Err("the topic exists".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    assert_eq!(found.known_lag(), LagCount::ZERO);
    let gone = found.partitions.get(&cluster.at("gone", 0));
    assert!(gone.is_none_or(|row| row.lag == Err(LagUndefined::TopicDeleted)));
}
