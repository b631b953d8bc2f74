//! payment-service on a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an unexpected value fails the test"
)]

mod gateway;

use std::time::Duration;

use clap::Parser;
use kafka_admin::Cluster;
use kafka_admin::publish::RawRecord;
use kafka_admin::records::{Query, Record};
use payment_service::{App, Settings};
use shared_events::{
    CorrelationId, Decoded, Envelope, Event, EventId, EventType, InventoryOutOfStock,
    InventoryReserved, OrderCreated, OrderId, PaymentId, Quantity, Service, Topic, TraceParent,
};
use test_stack::{eventually, shared};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// The service, with topics and a group of its own.
struct Running {
    cluster: Cluster,
    shutdown: CancellationToken,
    ended: JoinSet<anyhow::Result<()>>,
}

async fn settings(test: &str) -> Settings {
    let stack = shared().await;
    let settings = Settings::try_parse_from([
        "payment-service",
        "--port=0",
        &format!("--bootstrap-servers={}", stack.bootstrap()),
        &format!("--name-prefix={}", stack.unique_prefix(test)),
    ]);
    let settings = settings.unwrap();
    let cluster = Cluster::new(&settings.kafka).unwrap();
    cluster.create_topics(&Topic::ALL, None).await.unwrap();
    settings
}

async fn run(settings: &Settings) -> Running {
    let app = App::build(settings.clone()).await.unwrap();
    let shutdown = CancellationToken::new();
    let mut ended = JoinSet::new();
    ended.spawn(app.run(shutdown.clone()));
    Running {
        cluster: Cluster::new(&settings.kafka).unwrap(),
        shutdown,
        ended,
    }
}

impl Running {
    async fn publish(&self, events: &[Envelope]) {
        let records: Vec<_> = events
            .iter()
            .map(|event| RawRecord::event(event).unwrap())
            .collect();
        self.cluster.publish(&records).await.unwrap();
    }

    /// Waits until the group has caught up and there are this many responses.
    async fn responses(&self, count: usize) -> Vec<Record> {
        let prefix = self.cluster.prefix();
        let payments = prefix.topic(Topic::Payments);
        let consumed = Service::Payment.consumes().iter();
        let consumed: Vec<_> = consumed.map(|topic| prefix.topic(*topic)).collect();
        let group = prefix.group(Service::Payment);
        eventually(PATIENCE, "every event has its response", async || {
            let records = self
                .cluster
                .read(&payments, &Query::default())
                .await
                .unwrap();
            let uncommitted = self
                .cluster
                .uncommitted_offsets(&group, &consumed)
                .await
                .unwrap();
            if records.len() == count && uncommitted.is_empty() {
                Ok(records)
            } else {
                Err(format!("{} records, {uncommitted}", records.len()))
            }
        })
        .await
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended.join_next().await.unwrap().unwrap().unwrap();
    }
}

fn order(amount: &str) -> OrderCreated {
    OrderCreated {
        order_id: OrderId::now(),
        customer_id: "cust_1".parse().unwrap(),
        product_id: "prod_123".parse().unwrap(),
        quantity: Quantity::new(2).unwrap(),
        amount: amount.parse().unwrap(),
        occurred_at: "2026-01-02T03:04:05.678901234Z".parse().unwrap(),
    }
}

fn shortage(order: &OrderCreated) -> InventoryOutOfStock {
    InventoryOutOfStock {
        order_id: order.order_id,
        payment_id: PaymentId::of(order.order_id),
        product_id: order.product_id.clone(),
        quantity: order.quantity,
        amount: order.amount,
        reason: "out_of_stock".to_owned(),
        occurred_at: order.occurred_at,
    }
}

fn in_saga(event: impl Into<Event>) -> Envelope {
    Envelope::first(event, CorrelationId::random(), TraceParent::random())
}

fn response_to(event: &Envelope, records: &[Record]) -> Envelope {
    let key = event.key().into_bytes();
    let record = records
        .iter()
        .find(|record| record.key.as_ref() == Some(&key));
    match record.unwrap().decode().unwrap() {
        Decoded::Event(envelope) => *envelope,
        Decoded::UnknownType(name) => panic!("{name}"),
    }
}

#[tokio::test]
async fn only_orders_and_shortages_get_a_response_in_their_saga() {
    let service = run(&settings("payment_answers").await).await;
    let reserved = order("5.00");
    let reserved = InventoryReserved {
        order_id: reserved.order_id,
        product_id: reserved.product_id,
        quantity: reserved.quantity,
        occurred_at: reserved.occurred_at,
    };
    let expected = [
        (in_saga(order("250.50")), EventType::PaymentSucceeded),
        (in_saga(order("1500.00")), EventType::PaymentFailed),
        (
            in_saga(shortage(&order("250.00"))),
            EventType::PaymentRefunded,
        ),
    ];
    let mut events: Vec<_> = expected.iter().map(|(event, _)| event.clone()).collect();
    events.push(in_saga(reserved));
    service.publish(&events).await;

    let responses = service.responses(expected.len()).await;
    for (event, event_type) in &expected {
        let response = response_to(event, &responses);
        assert_eq!(response.event.event_type(), *event_type);
        assert_eq!(
            response.headers.event_id,
            EventId::of(event.event.order_id(), *event_type)
        );
        assert_eq!(
            response.headers.correlation_id,
            event.headers.correlation_id
        );
        assert_eq!(
            response.headers.causation_id,
            event.headers.event_id.as_uuid()
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn a_repeated_order_gets_the_same_bytes_from_any_process() {
    let settings = settings("payment_again").await;
    let service = run(&settings).await;
    let order = in_saga(order("250.50"));
    service.publish(&[order.clone(), order.clone()]).await;
    service.responses(2).await;
    service.stop().await;

    let service = run(&settings).await;
    service.publish(&[order]).await;
    let responses = service.responses(3).await;
    for response in &responses {
        let bytes = |record: &Record| {
            (
                record.key.clone(),
                record.headers.clone(),
                record.value.clone(),
            )
        };
        assert_eq!(bytes(response), bytes(&responses[0]));
    }
    service.stop().await;
}

fn process(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_payment-service"));
    let output = program.args(arguments).envs(variables.iter().copied());
    let output = output.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn health_ignores_other_settings_and_reports_a_closed_port() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let (code, said) = process(&["health"], &[("PORT", &port), ("BATCH_MAX", "nonsense")]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said, format!("no process listens on 127.0.0.1:{port}\n"));
    let (_, help) = process(&["--help"], &[]);
    assert!(help.contains("health"), "{help}");
}

#[test]
fn empty_environment_variables_are_the_defaults() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let empty = [
        "BIND_ADDR",
        "SLOT",
        "BATCH_MAX",
        "CRASH_AT",
        "DRAIN_TIMEOUT",
        "KAFKA_CONSUMER_FETCH_MIN_BYTES",
    ];
    let mut variables: Vec<_> = empty.into_iter().map(|name| (name, "")).collect();
    variables.push(("PORT", &port));
    let (code, said) = process(&[], &variables);
    // The port is bound only after the settings were found valid.
    assert!(said.contains(&format!("port {port} is taken")), "{said}");
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn output_to_a_full_disk_is_no_panic() {
    let full_disk = || std::fs::OpenOptions::new().write(true).open("/dev/full");
    let run = |argument| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_payment-service"));
        program.arg(argument).env_clear();
        program
    };
    let help = run("--help").stdout(full_disk().unwrap()).output().unwrap();
    let error = String::from_utf8(help.stderr).unwrap();
    assert!(
        error.starts_with("error: cannot write to standard output"),
        "{error}"
    );
    assert_eq!((help.status.code(), error.lines().count()), (Some(1), 1));
    let invalid = run("--port=x").stderr(full_disk().unwrap()).status();
    assert_eq!(invalid.unwrap().code(), Some(2));
}
