//! One order is one trace, across services, outbox and topics, whatever comes again or is set aside.

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

/// Each span of an order that ends well, with what it is a part of.
const STORY: [[&str; 2]; 9] = [
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
    // It answers nothing when the stock was there.
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

fn called(span: &Span) -> String {
    format!("{} {}", span.service, span.name)
}

/// Who is a part of whom, by their names. A part of nothing that is here is an error; a part of nothing at all is left out.
fn parts(spans: &[Span]) -> Result<Vec<[String; 2]>, String> {
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    if ids.len() < spans.len() {
        return Err("two spans have one id".to_owned());
    }
    let inner = spans.iter().filter(|span| !span.parent.is_empty());
    let mut parts = inner
        .map(|span| {
            let parent = spans.iter().find(|other| other.id == span.parent);
            let parent = parent.ok_or_else(|| format!("{} is part of nothing", called(span)))?;
            Ok([called(span), called(parent)])
        })
        .collect::<Result<Vec<_>, String>>()?;
    parts.sort();
    Ok(parts)
}

fn story(more: &[[&str; 2]]) -> Vec<[String; 2]> {
    let all = STORY.iter().chain(more);
    let mut all: Vec<_> = all.map(|pair| pair.map(str::to_owned)).collect();
    all.sort();
    all
}

/// Whether it is an attempt at a record whose batch came again: on a busy machine that may happen at any time.
fn came_again(span: &Span) -> bool {
    let failed = span.error.as_deref();
    span.name.starts_with("process")
        && failed.is_some_and(|error| !error.starts_with("domain_rule"))
}

/// Waits until the order's trace is this, and returns its spans.
async fn is_told(receiver: &Receiver, order: &str, wanted: &[[String; 2]]) -> Vec<Span> {
    eventually(DEADLINE, "the order's trace is whole", async || {
        let mut spans = receiver.of_order(order);
        spans.retain(|span| !came_again(span));
        match parts(&spans) {
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
    let spans = is_told(&receiver, &order, &story(&[])).await;
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
async fn a_batch_that_comes_again_after_a_crash_goes_on_in_the_same_trace() {
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
    // What the first attempt did not live to export is missing, and nothing is there twice.
    is_told(&receiver, &placed.order_id.to_string(), &story(&[])).await;
}

#[tokio::test]
async fn each_attempt_at_a_record_is_a_span_and_those_that_failed_say_why() {
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
        let mut found = parts(&spans)?;
        found.dedup();
        match found == story(&[]) {
            true => Ok(spans),
            false => Err(format!("{found:#?}")),
        }
    })
    .await;
    let attempts = attempts
        .iter()
        .filter(|span| called(span) == "inventory-service process payments");
    let errors: Vec<_> = attempts.map(|span| span.error.as_deref()).collect();
    assert_eq!(
        errors.iter().filter(|error| error.is_none()).count(),
        1,
        "{errors:?}"
    );
    let told = errors
        .iter()
        .flatten()
        .all(|error| error.contains("decisions"));
    assert!(errors.len() > 3 && told, "{errors:?}");
}

#[tokio::test]
async fn a_dead_letter_and_its_replay_stay_in_the_orders_trace() {
    let (receiver, shop) = traced("trace_letter").await;
    shop.run(&ONE_EACH).await;
    let placed = shop.place(&Request::new("prod_ignore", 1, "10.00")).await;
    shop.status(ORDER, placed.order_id, Some("PAID")).await;
    eventually(DEADLINE, "the letter is there", async || {
        let letters = dead_letters(&shop.cluster, Topic::InventoryDlq).await;
        letters
            .is_ok_and(|letters| letters.len() == 1)
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
    let wanted = story(&[
        poisoned,
        ["inventory-service send inventory.dlq", poisoned[0]],
        // payments is read by two groups: the other one passes the replayed record over.
        ["order-service process payments", poisoned[1]],
    ]);
    let spans = is_told(&receiver, &placed.order_id.to_string(), &wanted).await;
    let attempts = spans.iter().filter(|span| called(span) == poisoned[0]);
    let errors: Vec<_> = attempts.map(|span| span.error.as_deref()).collect();
    assert_eq!(errors.len(), 2, "{spans:#?}");
    assert!(errors.contains(&None), "{errors:?}");
    let told = errors.iter().flatten().next().unwrap();
    assert!(told.starts_with("domain_rule"), "{told}");
}

#[tokio::test]
async fn the_shop_does_not_wait_for_a_receiver_that_never_answers() {
    // The system takes the connections. Nobody takes them from it.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let shop = Shop::open("trace_away").await;
    let shop = shop.with("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    shop.run(&ONE_EACH).await;
    shop.place_all(&Request::mixed(200), 20).await;
    shop.caught_up().await;
    for who in ONE_EACH {
        shop.terminate(who).await;
    }
}
