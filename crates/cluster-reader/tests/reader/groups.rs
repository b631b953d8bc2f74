//! Which groups and members a poll finds.

use cluster_reader::{NoLag, Protocol};
use rdkafka::consumer::Consumer;

use crate::rig::{PATIENCE, Rig};

#[tokio::test]
async fn members_and_owners_are_told_for_both_protocols() {
    let mut rig = Rig::shared("members").await;
    rig.topic("t", 2).await;
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
        let _member = rig.member(group, "t", settings).await;
        let found = rig.group(group).await;
        assert_eq!((found.state.as_str(), found.protocol), ("Stable", protocol));
        let [member] = &found.members[..] else {
            panic!("{found:?}");
        };
        assert_eq!(member.owns, [rig.at("t", 0), rig.at("t", 1)]);
        assert_eq!(member.owner.client_id, format!("member-of-{group}"));
        assert!(member.owner.host.contains("127.0.0.1"), "{member:?}");
        assert_eq!(member.instance_id.is_some(), protocol == Protocol::Classic);
        let owner = &found.partitions[&rig.at("t", 1)].owner;
        assert_eq!(owner.as_ref(), Some(&member.owner));
    }
}

#[tokio::test]
async fn a_group_whose_members_have_gone_keeps_its_lag() {
    let mut rig = Rig::shared("empty").await;
    rig.topic("t", 1).await;
    rig.producer(&[]).send("t", 0, 7);
    let member = rig.member("g", "t", &[]).await;
    rig.commit_as(&member, "t", 0, 3);
    member.unsubscribe();
    drop(member);
    let found = test_stack::eventually(PATIENCE, "the group is empty", async || {
        let found = rig.group("g").await;
        match found.state.as_str() {
            "Empty" => Ok(found),
            other => Err(other.to_owned()),
        }
    })
    .await;
    let row = &found.partitions[&rig.at("t", 0)];
    assert_eq!((row.lag.unwrap().readable, row.owner.as_ref()), (4, None));
}

#[tokio::test]
async fn a_group_without_commits_has_no_record_yet_while_a_partition_holds_only_markers() {
    let mut rig = Rig::shared("no-record").await;
    rig.topic("t", 3).await;
    let transactions = rig.transactional("t");
    transactions.aborted("t", 0, 3);
    transactions.aborted("t", 1, 3);
    transactions.committed("t", 1, 1);
    rig.marked("t").await;
    let _member = rig.member("g", "t", &[]).await;
    let found = rig.group("g").await;
    let lags: Vec<_> = found.partitions.values().map(|row| row.lag).collect();
    let expected = [
        Err(NoLag::NoRecordYet),
        Err(NoLag::NothingCommitted),
        Err(NoLag::NoRecordYet),
    ];
    assert_eq!(lags, expected);
    assert!(!found.at_most(100));
}

#[tokio::test]
async fn a_group_that_nobody_made_is_in_no_snapshot_also_when_asked_for_by_name() {
    let mut rig = Rig::shared("nobody").await;
    rig.topic("t", 1).await;
    rig.commit("g", "t", 0, 0);
    let name = rig.name("nobody");
    rig.reader.remember(&name);
    let snapshot = rig.snapshot().await;
    assert!(!snapshot.groups.contains_key(&name));
    assert!(snapshot.groups.contains_key(&rig.name("g")));
    assert_eq!(snapshot.topics[&rig.name("t")].len(), 1);
}

#[tokio::test]
async fn a_group_that_was_deleted_is_forgotten() {
    let mut rig = Rig::shared("deleted").await;
    rig.topic("t", 1).await;
    rig.commit("g", "t", 0, 0);
    rig.group("g").await;
    let name = rig.name("g");
    let options = rdkafka::admin::AdminOptions::new();
    rig.admin().delete_groups(&[&name], &options).await.unwrap();
    assert!(!rig.snapshot().await.groups.contains_key(&name));
}

#[tokio::test]
async fn a_commit_beyond_the_end_and_a_topic_that_vanishes_are_reasons_and_no_numbers() {
    let mut rig = Rig::shared("rewound").await;
    rig.topic("t", 1).await;
    rig.topic("gone", 1).await;
    let plain = rig.producer(&[]);
    plain.send("t", 0, 3);
    plain.send("gone", 0, 3);
    rig.commit("g", "t", 0, 100);
    rig.commit("g", "gone", 0, 1);
    assert_eq!(rig.lag("g", "t", 0).await, Err(NoLag::CommittedBeyondEnd));
    assert_eq!(rig.lag("g", "gone", 0).await.unwrap().readable, 2);
    rig.delete_topic("gone").await;
    // Between its deletion and that of its partitions a poll may be refused.
    let found = test_stack::eventually(PATIENCE, "the cluster is without the topic", async || {
        let (name, topic) = (rig.name("g"), rig.name("gone"));
        match rig.reader.poll().await {
            Ok(snapshot) if !snapshot.topics.contains_key(&topic) => {
                Ok(snapshot.groups[&name].clone())
            }
            Ok(_) => Err("it is there".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    assert_eq!(found.known(), 0);
    let gone = found.partitions.get(&rig.at("gone", 0));
    assert!(gone.is_none_or(|row| row.lag == Err(NoLag::TopicDeleted)));
}
