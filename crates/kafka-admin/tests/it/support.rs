//! What the tests share: a cluster with a prefix of its own, plain clients, records.

use std::time::Duration;

use kafka_admin::publish::RawRecord;
use kafka_admin::{Cluster, KafkaSettings};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shared_events::Topic;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// The shared broker, with names that no other test uses.
pub async fn cluster(test: &str) -> Cluster {
    let stack = test_stack::shared().await;
    let settings = KafkaSettings {
        bootstrap_servers: stack.bootstrap().to_owned(),
        name_prefix: stack.unique_prefix(test).parse().unwrap(),
        slot: None,
    };
    Cluster::new(&settings).unwrap()
}

/// The settings of a plain client.
pub fn client_config(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.settings().bootstrap_servers);
    config
}

pub fn record(topic: Topic, partition: i32, key: &str, value: &[u8]) -> RawRecord {
    RawRecord {
        topic,
        partition: Some(partition),
        key: Some(key.as_bytes().to_vec()),
        headers: Vec::new(),
        value: Some(value.to_vec()),
    }
}

/// Deletes the records of partition 0 before this offset.
pub async fn delete_before(cluster: &Cluster, topic: &str, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = client_config(cluster).create().unwrap();
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(topic, 0, Offset::Offset(offset))
        .unwrap();
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await;
    deleted.unwrap();
}
