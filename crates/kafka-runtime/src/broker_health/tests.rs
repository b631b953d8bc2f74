use std::net::TcpListener;
use std::time::Duration;

use clap::Parser;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use service_kit::Readiness;
use shared_events::Service;
use test_stack::eventually;

use super::*;
use crate::client::{consumer_config, create};
use crate::settings::{ConsumerSettings, ConsumerTuning, KafkaSettings};

impl ConsumerContext for BrokerHealth {}

const SOON: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    consumer: ConsumerSettings,
}

/// The readiness report of a consumer with this broker address, once the report contains the words.
async fn report_of(address: &str, words: &str) -> String {
    let arguments = ["test", "--bootstrap-servers", address];
    let Settings { kafka, consumer } = Settings::try_parse_from(arguments).unwrap();
    let readiness = Readiness::new("test");
    let health = BrokerHealth::new(readiness.component("kafka"), Criticality::Required);
    let tuning = ConsumerTuning::default();
    let config = consumer_config(Service::Payment, &kafka, &consumer, &tuning);
    let consumer: BaseConsumer<BrokerHealth> = create(&config, health).unwrap();
    consumer.subscribe(&["orders"]).unwrap();
    eventually(SOON, words, async || {
        // librdkafka delivers errors with polls.
        let _ = consumer.poll(Duration::from_millis(20));
        let report = readiness.to_string();
        match report.contains(words) {
            true => Ok(report),
            false => Err(report),
        }
    })
    .await
}

#[tokio::test]
async fn a_refused_loopback_address_is_explained_for_both_sides() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    for host in ["127.0.0.1", "localhost"] {
        let report = report_of(&format!("{host}:{port}"), "localhost is the container").await;
        for part in ["kafka:29092", "on this host", "refused", "KAFKA_BOOTSTRAP"] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
}

#[tokio::test]
async fn the_reason_survives_when_all_brokers_are_down() {
    let readiness = Readiness::new("test");
    let health = BrokerHealth::new(readiness.component("kafka"), Criticality::Required);
    health.reached();
    health.failed("127.0.0.1:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused");
    assert!(readiness.is_ready(), "another broker may be up");
    health.all_failed("1/1 brokers are down");
    let report = readiness.to_string();
    assert!(report.contains("Connection refused"), "{report}");
}

#[test]
fn an_outage_does_not_repeat_the_reason_of_the_one_before() {
    let readiness = Readiness::new("test");
    let health = BrokerHealth::new(readiness.component("kafka"), Criticality::Required);
    health.failed("127.0.0.1:1: Connection refused");
    health.reached();
    health.all_failed("1/1 brokers are down");
    let report = readiness.to_string();
    assert!(report.contains("1/1 brokers are down"), "{report}");
}

#[test]
fn a_connection_does_not_hide_that_records_are_not_delivered() {
    let readiness = Readiness::new("test");
    let health = BrokerHealth::new(readiness.component("relay"), Criticality::Optional);
    health.not_delivered("unknown topic");
    health.reached();
    assert_eq!(readiness.to_string(), "relay degraded (unknown topic)");
    health.delivered();
    assert_eq!(readiness.to_string(), "relay ready");
}

#[test]
fn a_producer_without_work_is_connected_by_its_bootstrap_address() {
    let connected = |brokers: &[(&str, i32, &str)]| {
        let broker = |(source, nodeid, state): &(&str, i32, &str)| Broker {
            source: (*source).to_owned(),
            nodeid: *nodeid,
            state: (*state).to_owned(),
            ..Broker::default()
        };
        let named = brokers.iter().map(|one| (one.0.to_owned(), broker(one)));
        has_connection(&Statistics {
            brokers: named.collect(),
            ..Statistics::default()
        })
    };
    let up = ("configured", -1, "UP");
    assert!(connected(&[up, ("learned", 1, "INIT")]));
    assert!(connected(&[("learned", 1, "UP")]));
    assert!(!connected(&[up]), "it knows no broker yet");
    assert!(!connected(&[up, ("learned", 1, "TRY_CONNECT")]));
    assert!(!connected(&[
        ("configured", -1, "TRY_CONNECT"),
        ("learned", 1, "INIT")
    ]));
    let coordinator = ("logical", -1, "TRY_CONNECT");
    assert!(!connected(&[up, ("learned", 1, "INIT"), coordinator]));
}

#[test]
fn the_address_in_dockers_network_is_explained_to_the_host() {
    let advice = address_advice("kafka:29092/bootstrap: Failed to resolve 'kafka:29092'");
    assert!(advice.contains("from the host use localhost:9092"));
    // The name is known there, and the broker is down.
    assert_eq!(address_advice("kafka:29092/1: Connection refused"), "");
    assert_eq!(address_advice("10.0.0.1:9092: Connection refused"), "");
}
