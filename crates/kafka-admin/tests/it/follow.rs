//! Who follows a topic sees what is committed from now on, and nothing else.

use std::time::{Duration, Instant};

use kafka_runtime::KafkaSettings;
use kafka_admin::Cluster;
use kafka_admin::follow::Follower;
use kafka_admin::publish::RawRecord;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use shared_events::Topic;

const PATIENCE: Duration = Duration::from_secs(60);

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

/// The keys that come until this one.
fn keys_until(follower: &Follower, last: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut keys = Vec::new();
    while keys.last().is_none_or(|key| key != last) {
        assert!(Instant::now() < deadline, "only {keys:?} came");
        let record = follower.next(Duration::from_millis(100)).unwrap();
        keys.extend(record.map(|record| String::from_utf8(record.key.unwrap()).unwrap()));
    }
    keys
}

#[tokio::test]
async fn only_what_is_committed_from_now_on_is_seen_and_once() {
    let stack = test_stack::shared().await;
    let settings = KafkaSettings {
        bootstrap_servers: stack.bootstrap().to_owned(),
        name_prefix: stack.unique_prefix("follow").parse().unwrap(),
        slot: None,
    };
    let cluster = Cluster::new(&settings).unwrap();
    let created = cluster.create_topics(&[Topic::Inventory], Some(2)).await;
    created.unwrap();
    let topic = cluster.prefix().topic(Topic::Inventory);
    publish(&cluster, 0, "before").await;
    publish(&cluster, 1, "before").await;

    let follower = cluster.follow(&topic).await.unwrap();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("transactional.id", &topic)
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let transaction = |key: &str| {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<_, [u8]>::to(&topic).key(key).partition(0);
        producer.send(record).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    transaction("aborted");
    producer.abort_transaction(PATIENCE).unwrap();
    transaction("committed");
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(keys_until(&follower, "committed"), ["committed"]);

    publish(&cluster, 1, "after").await;
    assert_eq!(keys_until(&follower, "after"), ["after"]);
}
