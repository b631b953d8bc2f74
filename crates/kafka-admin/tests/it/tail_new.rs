//! A tail of new records reads what is committed from its start, and nothing else.

use std::time::{Duration, Instant};

use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_admin::tail_new::NewRecordTail;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use shared_events::Topic;

use crate::support::{DEADLINE, client_config, cluster};

async fn publish(cluster: &Cluster, partition: i32, key: &str) {
    let record = RawRecord {
        topic: Topic::Inventory,
        partition: Some(partition),
        key: Some(key.as_bytes().to_vec()),
        headers: Vec::new(),
        value: None,
    };
    cluster.publish(&[record]).await.unwrap();
}

/// The keys of the records up to this key.
fn keys_until(tail: &NewRecordTail, last: &str) -> Vec<String> {
    let deadline = Instant::now() + DEADLINE;
    let mut keys = Vec::new();
    while keys.last().is_none_or(|key| key != last) {
        assert!(Instant::now() < deadline, "only {keys:?} arrived");
        let record = tail.next(Duration::from_millis(100)).unwrap();
        keys.extend(record.map(|record| String::from_utf8(record.key.unwrap()).unwrap()));
    }
    keys
}

#[tokio::test]
async fn only_records_committed_after_the_start_are_read_and_once() {
    let cluster = cluster("tail-new").await;
    let created = cluster.create_topics(&[Topic::Inventory], Some(2)).await;
    created.unwrap();
    let topic = cluster.prefix().topic(Topic::Inventory);
    publish(&cluster, 0, "before").await;
    publish(&cluster, 1, "before").await;

    let tail = cluster.tail_new(&topic).await.unwrap();
    let producer: BaseProducer = client_config(&cluster)
        .set("transactional.id", &topic)
        .create()
        .unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    let transaction = |key: &str| {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<_, [u8]>::to(&topic).key(key).partition(0);
        producer.send(record).unwrap();
        producer.flush(DEADLINE).unwrap();
    };
    transaction("aborted");
    producer.abort_transaction(DEADLINE).unwrap();
    transaction("committed");
    producer.commit_transaction(DEADLINE).unwrap();
    assert_eq!(keys_until(&tail, "committed"), ["committed"]);

    publish(&cluster, 1, "after").await;
    assert_eq!(keys_until(&tail, "after"), ["after"]);
}
