//! Orders shown, listed and watched.

use futures::StreamExt;
use kafka_runtime::Handler;
use order_service::handler::OrderHandler;
use serde_json::{Value, json};
use shared_events::http_api::OrderView;
use shared_events::{EventId, EventType, OrderId};
use sqlx::PgPool;

use crate::events::event;
use crate::support::{answer, database, order, unread_metrics, without_kafka};

pub async fn add_fact(pool: &PgPool, order: &str, event_type: EventType) {
    let handler = OrderHandler::new(pool.clone(), unread_metrics());
    let work = handler
        .read(
            event(order.parse().unwrap(), event_type),
            chrono::Utc::now(),
        )
        .unwrap()
        .unwrap();
    handler.apply(&[&work]).await.unwrap();
}

#[tokio::test]
async fn an_accepted_order_can_be_read_with_its_facts() {
    let (url, pool) = database("read_order").await;
    let shop = without_kafka(&url, &[]).await;
    let accepted = answer(
        shop.order(order().to_string())
            .header("X-Correlation-Id", "corr-7"),
    )
    .await;
    let id = accepted.id();
    assert_eq!(accepted.status, 202);
    assert_eq!(
        accepted.body,
        json!({"orderId": id, "correlationId": "corr-7", "status": "PENDING"})
    );
    assert_eq!(accepted.header("location"), format!("/orders/{id}"));
    assert_eq!(accepted.header("x-correlation-id"), "corr-7");

    let shown = shop.get(accepted.header("location")).await.body;
    let order_id: OrderId = id.parse().unwrap();
    assert_eq!(shown["facts"][0]["event"], "OrderCreated");
    assert_eq!(
        shown["facts"][0]["eventId"],
        EventId::of(order_id, EventType::OrderCreated).to_string()
    );
    assert_eq!(shown["waitingSince"], shown["facts"][0]["at"]);
    assert_eq!(
        shown["waitingFor"],
        json!(["PaymentSucceeded", "PaymentFailed"])
    );
    let mut rest = shown.clone();
    for part in [
        "facts",
        "waitingFor",
        "waitingSince",
        "status",
        "orderId",
        "correlationId",
        "impossible",
        "paymentId",
        "failureReason",
    ] {
        rest.as_object_mut().unwrap().remove(part).unwrap();
    }
    assert_eq!(rest, order(), "the fields of the request");

    add_fact(&pool, &id, EventType::InventoryReserved).await;
    add_fact(&pool, &id, EventType::PaymentSucceeded).await;
    let shown = shop.order_with_status(&id, "CONFIRMED").await;
    let events: Vec<_> = shown["facts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fact| fact["event"].clone())
        .collect();
    assert_eq!(
        events,
        ["OrderCreated", "PaymentSucceeded", "InventoryReserved"],
        "in the order of the saga"
    );
    assert!(
        shown["waitingFor"].is_null() && shown["waitingSince"].is_null(),
        "{shown}"
    );
    assert_eq!(shown["impossible"], false);
    let view: OrderView = serde_json::from_value(shown.clone()).unwrap();
    assert_eq!(serde_json::to_value(view).unwrap(), shown);
    add_fact(&pool, &id, EventType::InventoryOutOfStock).await;
    assert_eq!(
        shop.get(&format!("/orders/{id}")).await.body["impossible"],
        true
    );
}

#[tokio::test]
async fn a_request_without_a_correlation_id_gets_one() {
    let (url, _pool) = database("named").await;
    let shop = without_kafka(&url, &[]).await;
    let accepted = shop.post(&order()).await;
    assert_eq!(
        accepted.body["correlationId"],
        accepted.header("x-correlation-id")
    );
    assert!(!accepted.header("x-correlation-id").is_empty());
    let refused = answer(shop.order("{}").header("X-Correlation-Id", "mine")).await;
    assert_eq!(
        (refused.status, refused.header("x-correlation-id")),
        (422, "mine")
    );
}

#[tokio::test]
async fn an_unknown_order_is_not_found() {
    let (url, _pool) = database("unknown").await;
    let shop = without_kafka(&url, &[]).await;
    for id in [
        OrderId::now().to_string(),
        "x".to_owned(),
        OrderId::now().to_string().to_uppercase(),
        "%00".to_owned(),
        "%ff".to_owned(),
    ] {
        shop.get(&format!("/orders/{id}"))
            .await
            .is_problem(404, &[]);
        shop.get(&format!("/orders/{id}/events"))
            .await
            .is_problem(404, &[]);
    }
}

/// The ids of the orders of a page.
pub fn ids(page: &Value) -> Vec<String> {
    page["orders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["orderId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn orders_are_listed_in_pages_the_newest_first() {
    let (url, pool) = database("pages").await;
    let shop = without_kafka(&url, &[]).await;
    let mut placed = Vec::new();
    for n in 0..5 {
        let mut order = order();
        order["customerId"] = Value::from(format!("cust_{}", n % 2));
        placed.insert(0, shop.post(&order).await.id());
    }
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let page = shop.get(&format!("/orders?limit=2{after}")).await.body;
        pages.push(ids(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(
        pages,
        placed.chunks(2).map(<[String]>::to_vec).collect::<Vec<_>>()
    );
    assert_eq!(ids(&shop.get("/orders?limit=5").await.body), placed);
    assert!(shop.get("/orders?limit=5").await.body["next"].is_null());

    let of_one = shop.get("/orders?customerId=cust_1").await.body;
    assert_eq!(ids(&of_one), [placed[1].clone(), placed[3].clone()]);
    add_fact(&pool, &placed[1], EventType::PaymentSucceeded).await;
    let paid = shop.get("/orders?customerId=cust_1&status=PAID").await.body;
    assert_eq!(ids(&paid), [placed[1].clone()]);
    assert_eq!(ids(&shop.get("/orders?status=PENDING").await.body).len(), 4);
}

#[tokio::test]
async fn wrong_parameters_are_named_with_their_limit() {
    let (url, _pool) = database("parameters").await;
    let shop = without_kafka(&url, &[]).await;
    let wrong = [
        ("status=paid", "status", "PENDING, PAID"),
        ("customerId=a%20b", "customerId", "1 to 64"),
        ("limit=0", "limit", "1 to 200"),
        ("limit=201", "limit", "1 to 200"),
        ("limit=x", "limit", "1 to 200"),
        ("after=x", "after", "UUID"),
        ("stuck=1", "stuck", "true or false"),
        ("stuck=true&limit=201", "limit", "1 to 200"),
        ("page=2", "page", "is not a parameter"),
        ("limit=1&limit=2", "limit", "once"),
    ];
    for (query, field, limit) in wrong {
        shop.get(&format!("/orders?{query}"))
            .await
            .names_wrong_fields(&[field], limit);
    }
    shop.get("/orders?limit=0&status=x&after=y")
        .await
        .names_wrong_fields(&["status", "after", "limit"], "");
    let id = shop.post(&order()).await.id();
    for query in ["timeout_s=0", "timeout_s=301", "timeout_s=x"] {
        shop.get(&format!("/orders/{id}/events?{query}"))
            .await
            .names_wrong_fields(&["timeout_s"], "1 to 300");
    }
}

#[tokio::test]
async fn a_stream_sends_every_fact_until_the_saga_ends() {
    let (url, pool) = database("watched").await;
    let shop = without_kafka(&url, &[]).await;
    let id = shop.post(&order()).await.id();
    let response = shop.open(&format!("/orders/{id}/events")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let mut chunks = response.bytes_stream();
    for (event, status) in [
        ("OrderCreated", "PENDING"),
        ("PaymentSucceeded", "PAID"),
        ("InventoryReserved", "CONFIRMED"),
    ] {
        if event != "OrderCreated" {
            add_fact(&pool, &id, event.parse().unwrap()).await;
        }
        let event_id = EventId::of(id.parse().unwrap(), event.parse().unwrap());
        while !text.contains(&format!("event: {event}\nid: {event_id}\n"))
            || !text.contains(&format!("\"status\":\"{status}\""))
        {
            let chunk = chunks
                .next()
                .await
                .unwrap_or_else(|| panic!("the stream ended at {text}"));
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
    while let Some(chunk) = chunks.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert_eq!(text.matches("event: ").count(), 3, "each fact once: {text}");
}

#[tokio::test]
async fn a_stream_of_a_saga_that_does_not_end_times_out() {
    let (url, _pool) = database("timeout").await;
    let shop = without_kafka(&url, &[]).await;
    let id = shop.post(&order()).await.id();
    let text = shop
        .open(&format!("/orders/{id}/events?timeout_s=1"))
        .await
        .text()
        .await
        .unwrap();
    let events: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(events, ["OrderCreated", "timeout"]);
}

#[tokio::test]
async fn a_stopping_service_ends_its_streams() {
    let (url, _pool) = database("stopping").await;
    let shop = without_kafka(&url, &[]).await;
    let id = shop.post(&order()).await.id();
    let response = shop
        .open(&format!("/orders/{id}/events?timeout_s=300"))
        .await;
    let (text, ()) = tokio::join!(response.text(), shop.stop());
    assert!(!text.unwrap().contains("timeout"));
}
