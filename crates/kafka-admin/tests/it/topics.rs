//! Topics and broker settings of a real cluster.

use std::time::Duration;

use kafka_admin::topics::CreateOutcome;
use kafka_admin::{Cluster, KafkaSettings};
use shared_events::Topic;

use crate::support::cluster;

#[tokio::test]
async fn topics_are_created_once_then_compared_and_deleted() {
    let cluster = cluster("topics").await;
    let created = cluster.create_topics(&Topic::ALL, None).await.unwrap();
    assert!(
        created
            .iter()
            .all(|(_, outcome)| *outcome == CreateOutcome::Created),
        "{created:?}"
    );
    let again = cluster.create_topics(&Topic::ALL, None).await.unwrap();
    assert!(
        again
            .iter()
            .all(|(_, outcome)| *outcome == CreateOutcome::Exists),
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
async fn a_topic_with_other_settings_is_reported_and_not_changed() {
    let cluster = cluster("differs").await;
    cluster
        .create_topics(&[Topic::Orders], Some(1))
        .await
        .unwrap();
    let again = cluster.create_topics(&[Topic::Orders], None).await.unwrap();
    let [(Topic::Orders, CreateOutcome::Differs(differences))] = again.as_slice() else {
        panic!("{again:?}");
    };
    assert_eq!(differences[0].to_string(), "partitions is 1, expected 3");
    assert_eq!(differences.len(), 1);
    let name = cluster.prefix().topic(Topic::Orders);
    assert_eq!(cluster.partitions(&name).await.unwrap(), 1);
}

#[tokio::test]
async fn the_test_broker_has_the_settings_that_the_shop_needs() {
    let cluster = cluster("broker").await;
    assert_eq!(cluster.broker_differences().await.unwrap(), []);
}

#[tokio::test]
async fn the_error_for_an_absent_broker_has_its_address_and_a_hint() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let settings = KafkaSettings {
        bootstrap_servers: address.clone(),
        name_prefix: "absent.".parse().unwrap(),
        slot: None,
    };
    let cluster = Cluster::new(&settings).unwrap();
    let error = cluster
        .ping(Duration::from_millis(500))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&address) && error.contains("./sandbox up"),
        "{error}"
    );
}
