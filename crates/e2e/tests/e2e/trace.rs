//! One order is one trace, across services, outbox and topics, also with retries, redelivery and dead letters.

mod receiver;

use std::collections::BTreeSet;
use std::net::TcpListener;

use kafka_admin::dead_letters::dead_letters;
use kafka_admin::replay::Replay;
use kafka_runtime::faults::CrashPoint;
use receiver::{Receiver, Span};
use shared_events::Topic;
use test_stack::eventually;

use crate::shop::clients::{PRODUCT, Request};
use crate::shop::{DEADLINE, INVENTORY, ONE_EACH, ORDER, PAYMENT, Shop};

/// Each span of a confirmed order with its parent.
const CONFIRMED_ORDER: [[&str; 2]; 9] = [
    ["order-service send orders", "order-service POST /orders"],
    ["order-service process orders", "order-service POST /orders"],
    [
        "payment-service process orders",
        "order-service POST /orders",
    ],
    [
        "payment-service send payments",
        "payment-service process orders",
    ],
    [
        "order-service process payments",
        "payment-service send payments",
    ],
    [
        "inventory-service process payments",
        "payment-service send payments",
    ],
    [
        "inventory-service send inventory",
        "inventory-service process payments",
    ],
    [
        "order-service process inventory",
        "inventory-service send inventory",
    ],
    // It publishes nothing: InventoryReserved needs no refund.
    [
        "payment-service process inventory",
        "inventory-service send inventory",
    ],
];

async fn traced(test: &str) -> (Receiver, Shop) {
    let receiver = Receiver::start().await;
    let shop = Shop::open(test).await;
    let shop = shop
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url)
        .with("STATIC_MEMBERSHIP", "true");
    (receiver, shop)
}

fn full_name(span: &Span) -> String {
    format!("{} {}", span.service, span.name)
}

/// Each span with its parent, by name. Root spans are left out; a parent that is missing is an error.
fn span_tree(spans: &[Span]) -> Result<Vec<[String; 2]>, String> {
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    if ids.len() < spans.len() {
        return Err("two spans have one id".to_owned());
    }
    let inner = spans.iter().filter(|span| !span.parent.is_empty());
    let mut parts = inner
        .map(|span| {
            let parent = spans.iter().find(|other| other.id == span.parent);
            let parent = parent
                .ok_or_else(|| format!("{} has a parent that is missing", full_name(span)))?;
            Ok([full_name(span), full_name(parent)])
        })
        .collect::<Result<Vec<_>, String>>()?;
    parts.sort();
    Ok(parts)
}

fn expected_tree(more: &[[&str; 2]]) -> Vec<[String; 2]> {
    let all = CONFIRMED_ORDER.iter().chain(more);
    let mut all: Vec<_> = all.map(|pair| pair.map(str::to_owned)).collect();
    all.sort();
    all
}

/// Whether the span is a failed attempt at a record whose batch was retried. On a busy machine a retry may happen at any time.
fn is_retried_attempt(span: &Span) -> bool {
    let failed = span.error.as_deref();
    span.name.starts_with("process")
        && failed.is_some_and(|error| !error.starts_with("domain_rule"))
}

/// Waits until the trace of the order is `wanted`, and returns its spans.
async fn trace_is(receiver: &Receiver, order: &str, wanted: &[[String; 2]]) -> Vec<Span> {
    eventually(DEADLINE, "the order's trace is whole", async || {
        let mut spans = receiver.of_order(order);
        spans.retain(|span| !is_retried_attempt(span));
        match span_tree(&spans) {
            Ok(found) if found == wanted => Ok(spans),
            Ok(found) => Err(format!("{found:#?}")),
            Err(error) => Err(error),
        }
    })
    .await
}

#[tokio::test]
async fn an_order_is_one_trace_and_each_step_is_part_of_the_one_before() {
    let (receiver, shop) = traced("trace").await;
    shop.run(&ONE_EACH).await;
    shop.restock(PRODUCT, 10).await;
    let placed = shop.place(&Request::new(PRODUCT, 1, "10.00")).await;
    let order = placed.order_id.to_string();
    shop.status(ORDER, placed.order_id, Some("CONFIRMED")).await;
    let spans = trace_is(&receiver, &order, &expected_tree(&[])).await;
    assert!(spans.iter().all(|span| span.error.is_none()), "{spans:#?}");

    let processed = spans.iter().filter(|span| span.name.starts_with("process"));
    for span in processed {
        assert_eq!(
            span.attributes["messaging.message.conversation_id"].len(),
            36,
            "{span:?}"
        );
        let batch = eventually(DEADLINE, "a batch that links to it", async || {
            let mut all = receiver.spans().into_iter();
            all.find(|other| other.links.contains(&span.id))
                .ok_or("none")
        })
        .await;
        assert_eq!(
            (&*batch.name, &batch.service),
            ("process batch", &span.service)
        );
        assert_ne!(batch.trace, span.trace);
    }
}

#[tokio::test]
async fn a_batch_redelivered_after_a_crash_stays_in_the_same_trace() {
    let (receiver, shop) = traced("trace_again").await;
    let fatal = [
        ("SANDBOX_UNSAFE", "1"),
        ("CRASH_AT", CrashPoint::EffectCommitted.name()),
    ];
    for who in [ORDER, PAYMENT] {
        shop.start(who, &[]).await;
    }
    shop.start(INVENTORY, &fatal).await;
    shop.ready(&ONE_EACH).await;
    shop.restock(PRODUCT, 10).await;
    let placed = shop.place(&Request::new(PRODUCT, 1, "10.00")).await;
    shop.crashed(INVENTORY).await;
    shop.start(INVENTORY, &[]).await;
    shop.status(ORDER, placed.order_id, Some("CONFIRMED")).await;
    // Spans that the killed process did not export are missing; no span is there twice.
    trace_is(&receiver, &placed.order_id.to_string(), &expected_tree(&[])).await;
}

#[tokio::test]
async fn each_attempt_at_a_record_is_a_span_with_its_error() {
    let (receiver, shop) = traced("trace_attempts").await;
    shop.run(&ONE_EACH).await;
    shop.restock(PRODUCT, 10).await;
    let rename = async |from: &str, to: &str| {
        let script = format!("ALTER TABLE {from} RENAME TO {to}");
        shop.server.sql(&shop.inventory_db, &script).await.unwrap();
    };
    rename("decisions", "away").await;
    let placed = shop.place(&Request::new(PRODUCT, 1, "10.00")).await;
    let failed = r#"consumer_batches_failed_total{stage="apply"}"#;
    eventually(DEADLINE, "three attempts", async || {
        let count = shop.metric(INVENTORY, failed).await;
        count
            .is_some_and(|count| count >= 3.0)
            .then_some(())
            .ok_or(format!("{count:?}"))
    })
    .await;
    rename("away", "decisions").await;
    let order = placed.order_id;
    shop.status(ORDER, order, Some("CONFIRMED")).await;
    let attempts = eventually(DEADLINE, "the whole trace", async || {
        let spans = receiver.of_order(&order.to_string());
        let mut found = span_tree(&spans)?;
        found.dedup();
        match found == expected_tree(&[]) {
            true => Ok(spans),
            false => Err(format!("{found:#?}")),
        }
    })
    .await;
    let attempts = attempts
        .iter()
        .filter(|span| full_name(span) == "inventory-service process payments");
    let errors: Vec<_> = attempts.map(|span| span.error.as_deref()).collect();
    assert_eq!(
        errors.iter().filter(|error| error.is_none()).count(),
        1,
        "{errors:?}"
    );
    let explained = errors
        .iter()
        .flatten()
        .all(|error| error.contains("decisions"));
    assert!(errors.len() > 3 && explained, "{errors:?}");
}

#[tokio::test]
async fn a_dead_letter_and_its_replay_stay_in_the_orders_trace() {
    let (receiver, shop) = traced("trace_dead_letter").await;
    shop.run(&ONE_EACH).await;
    let placed = shop.place(&Request::new("prod_ignore", 1, "10.00")).await;
    shop.status(ORDER, placed.order_id, Some("PAID")).await;
    eventually(DEADLINE, "the dead letter is there", async || {
        let found = dead_letters(&shop.cluster, Topic::InventoryDlq).await;
        found
            .is_ok_and(|all| all.len() == 1)
            .then_some(())
            .ok_or("none")
    })
    .await;
    shop.terminate(INVENTORY).await;
    shop.start(INVENTORY, &[("POISON_PRODUCT", "")]).await;
    let replay = Replay::begin(&shop.cluster, Topic::InventoryDlq)
        .await
        .unwrap();
    replay.run(|_| {}).await.unwrap();
    shop.status(ORDER, placed.order_id, Some("CONFIRMED")).await;

    let poisoned = [
        "inventory-service process payments",
        "payment-service send payments",
    ];
    let wanted = expected_tree(&[
        poisoned,
        ["inventory-service send inventory.dlq", poisoned[0]],
        // Two groups consume payments: order-service skips the replayed record.
        ["order-service process payments", poisoned[1]],
    ]);
    let spans = trace_is(&receiver, &placed.order_id.to_string(), &wanted).await;
    let attempts = spans.iter().filter(|span| full_name(span) == poisoned[0]);
    let errors: Vec<_> = attempts.map(|span| span.error.as_deref()).collect();
    assert_eq!(errors.len(), 2, "{spans:#?}");
    assert!(errors.contains(&None), "{errors:?}");
    let error = errors.iter().flatten().next().unwrap();
    assert!(error.starts_with("domain_rule"), "{error}");
}

#[tokio::test]
async fn the_shop_does_not_wait_for_a_receiver_that_never_answers() {
    // The kernel accepts the connections; no program reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let shop = Shop::open("trace_away").await;
    let shop = shop.with("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    shop.run(&ONE_EACH).await;
    shop.place_all(&Request::mixed(200), 20).await;
    shop.caught_up().await;
    for who in ONE_EACH {
        shop.terminate(who).await;
    }
}
