//! Tools see a real cluster as it is, and disturb nobody on it.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_runtime::KafkaSettings;
use kafka_admin::Cluster;
use kafka_admin::lag::NoLag;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Isolation, Query, Start};
use kafka_admin::topics::Created;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use shared_events::{Service, Topic};

async fn cluster(test: &str) -> Cluster {
    let stack = test_stack::shared().await;
    let settings = KafkaSettings {
        bootstrap_servers: stack.bootstrap().to_owned(),
        name_prefix: stack.unique_prefix(test).parse().unwrap(),
        slot: None,
    };
    Cluster::new(&settings).unwrap()
}

fn config(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.settings().bootstrap_servers);
    config
}

fn record(topic: Topic, partition: i32, key: &str, value: &[u8]) -> RawRecord {
    RawRecord {
        topic,
        partition: Some(partition),
        key: Some(key.as_bytes().to_vec()),
        headers: Vec::new(),
        value: Some(value.to_vec()),
    }
}

fn commit(cluster: &Cluster, group: &str, topic: &str, partition: i32, offset: i64) {
    let consumer: BaseConsumer = config(cluster).set("group.id", group).create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, partition, Offset::Offset(offset))
        .unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
}

#[tokio::test]
async fn topics_are_made_once_compared_after_and_deleted() {
    let cluster = cluster("topics").await;
    let created = cluster.create_topics(&Topic::ALL, None).await.unwrap();
    assert!(
        created
            .iter()
            .all(|(_, outcome)| *outcome == Created::Created),
        "{created:?}"
    );
    let again = cluster.create_topics(&Topic::ALL, None).await.unwrap();
    assert!(
        again.iter().all(|(_, outcome)| *outcome == Created::Exists),
        "{again:?}"
    );

    let dead_letters = cluster.prefix().topic(Topic::OrdersDlq);
    let config = cluster.topic_config(&dead_letters).await.unwrap();
    assert_eq!(config["max.message.bytes"], "2097152");

    for _ in 0..2 {
        cluster.delete_topics(&Topic::ALL).await.unwrap();
        assert_eq!(cluster.partitions(&dead_letters).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_topic_that_is_not_as_the_table_says_is_named_and_left_alone() {
    let cluster = cluster("differs").await;
    cluster
        .create_topics(&[Topic::Orders], Some(1))
        .await
        .unwrap();
    let again = cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let [(Topic::Orders, Created::Differs(differences))] = again.as_slice() else {
        panic!("{again:?}");
    };
    assert_eq!(differences[0].to_string(), "partitions is 1, expected 3");
    assert_eq!(differences.len(), 1);
    let name = cluster.prefix().topic(Topic::Orders);
    assert_eq!(cluster.partitions(&name).await.unwrap(), 1);
}

#[tokio::test]
async fn the_broker_of_the_laboratory_is_as_the_shop_needs_it() {
    let cluster = cluster("broker").await;
    assert_eq!(cluster.broker_differences().await.unwrap(), []);
}

#[tokio::test]
async fn lag_is_a_number_only_where_something_was_committed() {
    let cluster = cluster("lag").await;
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

    let lag = cluster
        .lag(&group, std::slice::from_ref(&topic))
        .await
        .unwrap();
    let lags: Vec<_> = lag
        .partitions
        .iter()
        .map(|partition| partition.lag())
        .collect();
    assert_eq!(
        lags,
        [Ok(2), Err(NoLag::NothingCommitted), Err(NoLag::NoRecordYet)]
    );
    assert_eq!(lag.known(), 2);
    assert!(
        !lag.at_most(2),
        "a partition of unknown lag is not little lag"
    );

    commit(&cluster, &group, &topic, 0, 3);
    commit(&cluster, &group, &topic, 1, 2);
    assert!(
        cluster
            .lag(&group, std::slice::from_ref(&topic))
            .await
            .unwrap()
            .is_at_rest()
    );
    let ends = cluster.end_offsets(&topic).await.unwrap();
    assert_eq!(ends, BTreeMap::from([(0, 3), (1, 2), (2, 0)]));
}

#[tokio::test]
async fn who_looks_at_a_group_is_no_member_of_it() {
    let cluster = cluster("observer").await;
    cluster
        .create_topics(&[Topic::Payments], None)
        .await
        .unwrap();
    let topic = cluster.prefix().topic(Topic::Payments);
    let group = cluster.prefix().group(Service::Inventory);
    let member: BaseConsumer = config(&cluster)
        .set("group.id", &group)
        .set("client.id", "the-member")
        .create()
        .unwrap();
    member.subscribe(&[&topic]).unwrap();
    test_stack::eventually(
        DEADLINE,
        "the member owns all partitions",
        async || {
            let _ = member.poll(Duration::from_millis(50));
            cluster
                .lag(&group, std::slice::from_ref(&topic))
                .await
                .unwrap();
            let seen = cluster.group(&group).await.unwrap();
            let owned: Vec<i32> = seen
                .members
                .iter()
                .flat_map(|member| member.owns.iter().map(|(_, partition)| *partition))
                .collect();
            if seen.members.len() == 1 && seen.state == "Stable" && owned == [0, 1, 2] {
                assert_eq!(seen.members[0].client_id, "the-member");
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        },
    )
    .await;
    let nobody = cluster.group("a-group-nobody-joined").await.unwrap();
    assert_eq!((nobody.state.as_str(), nobody.members.len()), ("Dead", 0));

    member.unsubscribe();
    drop(member);
    cluster
        .delete_groups(
            &[group.clone(), group.clone() + "-unknown"],
            DEADLINE,
        )
        .await
        .unwrap();
    let names: Vec<String> = cluster
        .groups()
        .await
        .unwrap()
        .into_iter()
        .map(|g| g.name)
        .collect();
    assert!(!names.contains(&group), "{names:?}");
}

#[tokio::test]
async fn whatever_is_published_is_read_back_byte_by_byte() {
    let cluster = cluster("bytes").await;
    cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let topic = cluster.prefix().topic(Topic::Orders);
    let headers = vec![
        ("event-type".to_owned(), Some(vec![0xff, 0x00])),
        ("empty".to_owned(), Some(Vec::new())),
        ("none".to_owned(), None),
        ("none".to_owned(), Some(b"again".to_vec())),
    ];
    let odd = RawRecord {
        headers,
        ..record(Topic::Orders, 2, "odd", &[0xc3, 0x28])
    };
    let tombstone = RawRecord {
        value: None,
        key: None,
        ..record(Topic::Orders, 0, "", b"")
    };
    // The broker's limit counts the batch around the record: 1 MiB less what the batch's own fields take.
    let large = record(Topic::Orders, 1, "large", &vec![b'x'; 1_048_576 - 80]);
    let sent = [odd, tombstone, large];
    let places = cluster.publish(&sent).await.unwrap();
    assert_eq!(places, [(2, 0), (0, 0), (1, 0)]);

    let read = cluster.read(&topic, &Query::default()).await.unwrap();
    for (sent, (partition, _)) in sent.iter().zip(places) {
        let found = &read[usize::try_from(partition).unwrap()];
        assert_eq!(found.partition, partition);
        assert_eq!(found.key, sent.key);
        assert_eq!(found.headers.as_ref(), Some(&sent.headers));
        assert!(
            found.value == sent.value,
            "values differ in partition {partition}"
        );
        assert!(found.timestamp_ms.is_some());
    }
    let too_large = record(Topic::Orders, 1, "large", &vec![b'x'; 1_048_577]);
    assert!(cluster.publish(&[too_large]).await.is_err());
}

#[tokio::test]
async fn a_record_can_be_found_by_key_by_time_and_by_offset() {
    let cluster = cluster("find").await;
    cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let topic = cluster.prefix().topic(Topic::Orders);
    let send = async |key: &str| {
        cluster
            .publish(&[record(Topic::Orders, 0, key, b"v")])
            .await
            .unwrap();
    };
    for key in ["a", "b", "a"] {
        send(key).await;
    }
    let offsets = async |query: Query| {
        let records = cluster.read(&topic, &query).await.unwrap();
        records
            .iter()
            .map(|record| record.offset)
            .collect::<Vec<_>>()
    };
    let by_key = Query {
        key: Some(b"a".to_vec()),
        ..Query::default()
    };
    assert_eq!(offsets(by_key).await, [0, 2]);
    let from = Query {
        start: Start::Offsets(BTreeMap::from([(0, 2)])),
        ..Query::default()
    };
    assert_eq!(offsets(from).await, [2]);

    let all = cluster.read(&topic, &Query::default()).await.unwrap();
    let last = all[2].timestamp_ms.unwrap();
    let first_of_that_time = all
        .iter()
        .position(|r| r.timestamp_ms == Some(last))
        .unwrap();
    let expected: Vec<i64> = (first_of_that_time as i64..3).collect();
    let by_time = |at| Query {
        start: Start::Time(at),
        ..Query::default()
    };
    assert_eq!(offsets(by_time(last)).await, expected);
    assert_eq!(offsets(by_time(last + 1)).await, Vec::<i64>::new());
}

#[tokio::test]
async fn only_committed_records_are_read_unless_all_are_asked_for() {
    let cluster = cluster("isolation").await;
    cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let topic = cluster.prefix().topic(Topic::Orders);
    let producer: BaseProducer = config(&cluster)
        .set("transactional.id", cluster.prefix().name("a-producer"))
        .create()
        .unwrap();
    let within = DEADLINE;
    let send = |value: &str| {
        let record = BaseRecord::<str, str>::to(&topic)
            .partition(0)
            .payload(value);
        producer.send(record).unwrap();
        producer.flush(within).unwrap();
    };
    let read = async |isolation| {
        let query = Query {
            isolation,
            ..Query::default()
        };
        let records = cluster.read(&topic, &query).await.unwrap();
        let values = records.into_iter().map(|record| record.value.unwrap());
        values
            .map(|value| String::from_utf8(value).unwrap())
            .collect::<Vec<_>>()
    };
    producer.init_transactions(within).unwrap();
    producer.begin_transaction().unwrap();
    send("aborted");
    producer.abort_transaction(within).unwrap();
    producer.begin_transaction().unwrap();
    send("committed");
    producer.commit_transaction(within).unwrap();
    producer.begin_transaction().unwrap();
    send("open");

    assert_eq!(read(Isolation::ReadCommitted).await, ["committed"]);
    assert_eq!(
        read(Isolation::ReadUncommitted).await,
        ["aborted", "committed", "open"]
    );
    producer.abort_transaction(within).unwrap();
    assert_eq!(read(Isolation::ReadCommitted).await, ["committed"]);
}

#[tokio::test]
async fn a_topic_that_does_not_exist_has_no_records_and_no_lag() {
    let cluster = cluster("nowhere").await;
    let topic = cluster.prefix().topic(Topic::Orders);
    assert_eq!(cluster.read(&topic, &Query::default()).await.unwrap(), []);
    let lag = cluster.lag("a-group", &[topic]).await.unwrap();
    assert_eq!(lag.partitions, []);
}

#[tokio::test]
async fn a_broker_that_is_away_is_said_with_its_address_and_what_to_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let settings = KafkaSettings {
        bootstrap_servers: address.clone(),
        name_prefix: "away.".parse().unwrap(),
        slot: None,
    };
    let cluster = Cluster::new(&settings).unwrap();
    let error = cluster
        .answers(Duration::from_millis(500))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&address) && error.contains("./sandbox up"),
        "{error}"
    );
}
