//! With documents as librdkafka writes them.

use std::collections::HashMap;

use prometheus::TextEncoder;
use rdkafka::statistics::{Broker, Topic};

use super::*;

fn window(cnt: i64, p50: i64) -> Window {
    Window {
        cnt,
        p50,
        p95: 2 * p50,
        p99: 3 * p50,
        ..Window::default()
    }
}

fn broker(nodeid: i32, source: &str, rtt: Window) -> (String, Broker) {
    let broker = Broker {
        nodeid,
        source: source.to_owned(),
        rtt: Some(rtt),
        ..Broker::default()
    };
    (format!("{source}/{nodeid}"), broker)
}

fn said(client: &str, bytes: i64, rtt: Window, batch: Window) -> Statistics {
    let topic = Topic {
        batchcnt: batch.clone(),
        batchsize: batch,
        ..Topic::default()
    };
    Statistics {
        name: client.to_owned(),
        tx: bytes / 100,
        tx_bytes: bytes,
        rx_bytes: bytes / 10,
        brokers: HashMap::from([
            broker(1, "learned", rtt),
            broker(1, "logical", window(1_000_000, 400_000)),
            broker(-1, "configured", window(1_000_000, 400_000)),
        ]),
        topics: HashMap::from([("orders".to_owned(), topic)]),
        ..Statistics::default()
    }
}

fn told(registry: &Registry) -> String {
    TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap()
}

#[track_caller]
fn assert_told(registry: &Registry, lines: &[&str]) {
    let told = told(registry);
    for line in lines {
        assert!(told.lines().any(|told| told == *line), "{line}: {told}");
    }
}

#[test]
fn what_a_document_says_of_requests_and_batches_is_told_in_seconds_records_and_bytes() {
    let registry = Registry::new();
    let metrics = ClientMetrics::new(&registry, Counted::Producer).unwrap();
    metrics.take(&said("p-1", 5_000, window(10, 2_000), window(4, 7)));
    assert_told(
        &registry,
        &[
            r#"kafka_client_request_seconds{client="producer",quantile="0.5"} 0.002"#,
            r#"kafka_client_request_seconds{client="producer",quantile="0.95"} 0.004"#,
            r#"kafka_client_request_seconds{client="producer",quantile="0.99"} 0.006"#,
            r#"kafka_producer_batch_records{client="producer",quantile="0.5"} 7"#,
            r#"kafka_producer_batch_bytes{client="producer",quantile="0.99"} 21"#,
            r#"kafka_client_sent_bytes_total{client="producer"} 5000"#,
            r#"kafka_client_received_bytes_total{client="producer"} 500"#,
            r#"kafka_client_sent_requests_total{client="producer"} 50"#,
        ],
    );
}

#[test]
fn a_quantile_of_which_nothing_was_measured_is_absent() {
    let registry = Registry::new();
    let metrics = ClientMetrics::new(&registry, Counted::Consumer).unwrap();
    assert!(!told(&registry).contains("quantile"), "{}", told(&registry));
    metrics.take(&said("c-1", 0, window(10, 2_000), window(5, 7)));
    let busy = told(&registry);
    assert!(busy.contains("kafka_client_request_seconds{"), "{busy}");
    assert!(
        !busy.contains("kafka_producer_batch"),
        "batches of others: {busy}"
    );
}

#[test]
fn documents_of_the_same_five_seconds_are_weighed_by_what_each_measured() {
    let registry = Registry::new();
    let metrics = ClientMetrics::new(&registry, Counted::Producer).unwrap();
    metrics.take(&said("p-1", 0, window(30, 1_000), window(1, 1)));
    metrics.take(&said("p-1", 0, window(10, 5_000), window(0, 0)));
    let mean = r#"kafka_client_request_seconds{client="producer",quantile="0.5"} 0.002"#;
    assert_told(&registry, &[mean]);
}

#[test]
fn a_producer_that_takes_anothers_place_is_counted_on() {
    let registry = Registry::new();
    let metrics = ClientMetrics::new(&registry, Counted::Producer).unwrap();
    let mut sent = 0;
    for (client, bytes, counted) in [
        ("p-1", 5_000, 5_000),
        ("p-1", 8_000, 8_000),
        ("p-2", 1_000, 9_000),
        // A broker was removed.
        ("p-2", 400, 9_000),
        ("p-2", 500, 9_100),
        // More at once than its predecessor had.
        ("p-3", 600, 9_700),
    ] {
        metrics.take(&said(client, bytes, window(0, 0), window(0, 0)));
        let now = metrics.totals.lock().unwrap().of[0].0.get();
        assert_eq!(now, counted, "{client} {bytes}");
        assert!(now >= sent);
        sent = now;
    }
}

#[test]
fn the_clients_of_one_process_share_a_registry_and_two_of_a_kind_cannot() {
    let registry = Registry::new();
    for client in [Counted::Consumer, Counted::Producer, Counted::Relay] {
        let metrics = ClientMetrics::new(&registry, client).unwrap();
        metrics.take(&said("one", 1_000, window(1, 1_000), window(0, 0)));
        assert!(ClientMetrics::new(&registry, client).is_err());
    }
    for client in ["consumer", "producer", "relay"] {
        let line = format!("kafka_client_sent_bytes_total{{client=\"{client}\"}} 1000");
        assert_told(&registry, &[&line]);
    }
}
