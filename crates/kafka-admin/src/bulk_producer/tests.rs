//! A client that has lost every broker.

use std::sync::Mutex;

use kafka_runtime::client::Criticality;
use rdkafka::ClientContext;
use rdkafka::statistics::{Broker, Statistics};
use service_kit::Readiness;

use super::*;

/// The statistics of a client that knows these brokers, by node id.
fn statistics(nodes: &[i32]) -> Statistics {
    let broker = |node: &i32| {
        let broker = Broker {
            nodeid: *node,
            ..Broker::default()
        };
        (node.to_string(), broker)
    };
    Statistics {
        brokers: nodes.iter().map(broker).collect(),
        ..Statistics::default()
    }
}

#[test]
fn a_client_without_brokers_is_replaced_and_its_records_fail() {
    let reports = Arc::<Mutex<Vec<(usize, bool)>>>::default();
    let collected = Arc::clone(&reports);
    let on_delivery = move |report: DeliveryReport<'_>| {
        let one = (report.tag, report.outcome.is_ok());
        collected.lock().unwrap().push(one);
    };
    // A copy: a panic with the lock held would panic again in the callback of a C library.
    let so_far = || reports.lock().unwrap().clone();
    let kafka = Readiness::new("test").component("kafka");
    let health = BrokerHealth::new(kafka, Criticality::Required);
    let mut config = ClientConfig::new();
    // Nothing listens there, so all statistics are those of this test.
    config.set("bootstrap.servers", "127.0.0.1:1");
    let deliveries = Deliveries::new(health, false, on_delivery);
    let producer = BulkProducer::with_config(config, "orders".to_owned(), deliveries).unwrap();
    let record = |tag| BulkRecord {
        key: b"key",
        value: b"value",
        headers: &[],
        partition: None,
        tag,
    };
    producer.send(&record(1)).unwrap();
    for nodes in [&[1][..], &[], &[]] {
        assert!(so_far().is_empty());
        producer.producer().context().stats(statistics(nodes));
        producer.poll();
    }
    assert_eq!(so_far(), [(1, false)]);
    assert!(!producer.producer().context().brokers.are_lost());
    // A record sent now waits for a broker.
    producer.send(&record(2)).unwrap();
    producer.poll();
    assert_eq!((producer.in_flight(), so_far().len()), (1, 1));
}
