//! Groups and their offsets on a real cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_reader::{ClusterReader, ReaderSettings};
use kafka_admin::Cluster;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::{Service, Topic};
use test_stack::eventually;

use crate::support::{DEADLINE, client_config, cluster, record};

fn commit(cluster: &Cluster, group: &str, topic: &str, partition: i32, offset: i64) {
    let consumer: BaseConsumer = client_config(cluster)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, partition, Offset::Offset(offset))
        .unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
}

#[tokio::test]
async fn offsets_are_uncommitted_until_the_group_commits_the_end() {
    let cluster = cluster("offsets").await;
    cluster
        .create_topics(&[Topic::Payments], None)
        .await
        .unwrap();
    let topic = cluster.prefix().topic(Topic::Payments);
    let group = cluster.prefix().group(Service::Inventory);
    let records: Vec<_> = [0, 0, 0, 1, 1]
        .map(|partition| record(Topic::Payments, partition, "key", b"value"))
        .into();
    cluster.publish(&records).await.unwrap();
    commit(&cluster, &group, &topic, 0, 1);

    let topics = [topic.clone()];
    let uncommitted = cluster.uncommitted_offsets(&group, &topics).await.unwrap();
    let ranges: Vec<_> = uncommitted
        .partitions
        .iter()
        .map(|range| (range.partition, range.start, range.end))
        .collect();
    assert_eq!(ranges, [(0, 1, 3), (1, 0, 2)]);
    assert_eq!(uncommitted.count(), 4);

    commit(&cluster, &group, &topic, 0, 3);
    commit(&cluster, &group, &topic, 1, 2);
    let uncommitted = cluster.uncommitted_offsets(&group, &topics).await.unwrap();
    assert!(uncommitted.is_empty(), "{uncommitted}");
    let ends = cluster.end_offsets(&topic).await.unwrap();
    assert_eq!(ends, BTreeMap::from([(0, 3), (1, 2), (2, 0)]));

    // An offset after the end remains from a topic that was recreated.
    commit(&cluster, &group, &topic, 0, 4);
    let uncommitted = cluster.uncommitted_offsets(&group, &topics).await.unwrap();
    assert!(!uncommitted.is_empty());
    assert_eq!(uncommitted.count(), 0);
}

#[tokio::test]
async fn an_observer_of_a_group_is_not_a_member_of_it() {
    let cluster = cluster("observer").await;
    cluster
        .create_topics(&[Topic::Payments], None)
        .await
        .unwrap();
    let topics = [cluster.prefix().topic(Topic::Payments)];
    let group = cluster.prefix().group(Service::Inventory);
    let member: BaseConsumer = client_config(&cluster)
        .set("group.id", &group)
        .set("client.id", "the-member")
        .create()
        .unwrap();
    member.subscribe(&[&topics[0]]).unwrap();
    let reader = tokio::sync::Mutex::new(ClusterReader::new(ReaderSettings {
        bootstrap_servers: cluster.settings().bootstrap_servers.clone(),
        client_id: "test".to_owned(),
        timeout: DEADLINE,
    }));
    eventually(DEADLINE, "the member owns all partitions", async || {
        let _ = member.poll(Duration::from_millis(50));
        cluster.uncommitted_offsets(&group, &topics).await.unwrap();
        let snapshot = reader.lock().await.poll().await;
        let snapshot = snapshot.map_err(|error| error.to_string())?;
        let seen = snapshot.group_on_topics(&group, &[]);
        let owned: Vec<i32> = seen
            .members
            .iter()
            .flat_map(|member| member.assignment.iter().map(|one| one.partition))
            .collect();
        if seen.members.len() == 1 && seen.state == "Stable" && owned == [0, 1, 2] {
            assert_eq!(seen.members[0].owner.client_id, "the-member");
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;

    member.unsubscribe();
    drop(member);
    let groups = [group.clone(), group.clone() + "-unknown"];
    cluster.delete_groups(&groups, DEADLINE).await.unwrap();
    eventually(DEADLINE, "the group is deleted", async || {
        let snapshot = reader.lock().await.poll().await;
        let snapshot = snapshot.map_err(|error| error.to_string())?;
        match snapshot.groups.get(&group) {
            None => Ok(()),
            Some(group) => Err(format!("{group:?}")),
        }
    })
    .await;
}
