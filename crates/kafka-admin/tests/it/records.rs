//! Records of a real cluster, written and read.

use std::collections::BTreeMap;

use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Isolation, Query, Start};
use kafka_admin::topic_tail::TailEvent;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use shared_events::Topic;

use crate::support::{DEADLINE, client_config, cluster, delete_before, record};

#[tokio::test]
async fn any_record_is_read_byte_by_byte_as_it_was_published() {
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
    // The broker's limit counts the batch around the record: 1 MiB less what the batch's own fields
    // take.
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
    let producer: BaseProducer = client_config(&cluster)
        .set("transactional.id", cluster.prefix().name("a-producer"))
        .create()
        .unwrap();
    let send = |value: &str| {
        let record = BaseRecord::<str, str>::to(&topic)
            .partition(0)
            .payload(value);
        producer.send(record).unwrap();
        producer.flush(DEADLINE).unwrap();
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
    producer.init_transactions(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send("aborted");
    producer.abort_transaction(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send("committed");
    producer.commit_transaction(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send("open");

    assert_eq!(read(Isolation::ReadCommitted).await, ["committed"]);
    assert_eq!(
        read(Isolation::ReadUncommitted).await,
        ["aborted", "committed", "open"]
    );
    producer.abort_transaction(DEADLINE).unwrap();
    assert_eq!(read(Isolation::ReadCommitted).await, ["committed"]);
}

#[tokio::test]
async fn a_topic_that_does_not_exist_has_no_records_and_no_offsets() {
    let cluster = cluster("nowhere").await;
    let topic = cluster.prefix().topic(Topic::Orders);
    assert_eq!(cluster.read(&topic, &Query::default()).await.unwrap(), []);
    let uncommitted = cluster.uncommitted_offsets("a-group", &[topic]).await;
    assert!(uncommitted.unwrap().is_empty());
}

#[tokio::test]
async fn a_reader_says_which_of_the_wanted_records_were_deleted() {
    let cluster = cluster("deleted").await;
    cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let topic = cluster.prefix().topic(Topic::Orders);
    let ten: Vec<_> = (0..10)
        .map(|_| record(Topic::Orders, 0, "key", b"v"))
        .collect();
    cluster.publish(&ten).await.unwrap();
    delete_before(&cluster, &topic, 4).await;

    let missing = async |start: Start| {
        let query = Query {
            start,
            ..Query::default()
        };
        let topics = [topic.clone()];
        let read = cluster.read_all_and_missing(&topics, &query).await.unwrap();
        let missing = read.missing.iter().map(|one| (one.from, one.log_start));
        (read.records.len(), missing.collect::<Vec<_>>())
    };
    assert_eq!(missing(Start::Offset(1)).await, (6, vec![(Some(1), 4)]));
    assert_eq!(missing(Start::Offset(4)).await, (6, vec![]));
    assert_eq!(missing(Start::Beginning).await, (6, vec![(Some(0), 4)]));
    assert_eq!(missing(Start::Time(1)).await, (6, vec![(None, 4)]));
    assert_eq!(missing(Start::Last(100)).await, (6, vec![]));

    // A tail that has stopped reading while its next records are deleted.
    let query = Query {
        start: Start::Offset(4),
        ..Query::default()
    };
    let mut tail = cluster.tail(&topic, &query).await.unwrap();
    delete_before(&cluster, &topic, 8).await;
    let read = tokio::task::spawn_blocking(move || {
        let (mut offsets, mut missing) = (Vec::new(), Vec::new());
        loop {
            match tail.next(DEADLINE).unwrap() {
                TailEvent::Record(record) => offsets.push(record.offset),
                TailEvent::Missing(one) => missing.push((one.from, one.log_start)),
                TailEvent::Idle => {}
                TailEvent::End => return (offsets, missing),
            }
        }
    });
    let (offsets, missing) = read.await.unwrap();
    assert_eq!((offsets, missing), (vec![8, 9], vec![(Some(4), 8)]));
}

#[tokio::test]
async fn a_tail_from_an_offset_after_the_end_waits_for_that_offset() {
    let cluster = cluster("after-end").await;
    cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let topic = cluster.prefix().topic(Topic::Orders);
    let send = async || {
        let one = [record(Topic::Orders, 0, "key", b"v")];
        cluster.publish(&one).await.unwrap();
    };
    send().await;
    let query = Query {
        start: Start::Offset(3),
        ..Query::default()
    };
    let mut tail = cluster.tail(&topic, &query).await.unwrap();
    for _ in 0..3 {
        send().await;
    }
    let first = tokio::task::spawn_blocking(move || {
        loop {
            if let TailEvent::Record(record) = tail.next(DEADLINE).unwrap() {
                return record.offset;
            }
        }
    });
    assert_eq!(first.await.unwrap(), 3);
}
