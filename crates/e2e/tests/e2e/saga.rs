//! The saga from end to end, while processes are killed, frozen or missing.

mod frozen;
mod outages;
mod tool;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use shared_events::OrderId;
use test_stack::eventually;

use crate::shop::clients::{PRODUCT, Request};
use crate::shop::{
    DEADLINE, INVENTORY, INVENTORY_2, ONE_EACH, ORDER, ORDER_2, PAYMENT, PAYMENT_2, Shop, TWO_EACH,
};
use audit::Allowed;

fn duplicate_orders() -> Allowed {
    Allowed {
        duplicate_orders: true,
        ..Allowed::default()
    }
}

/// The bodies are those of the README.
const DEMO_ORDERS: [(&str, &str, Option<&str>); 4] = [
    (
        r#"{"customerId": "cust_happy_path", "productId": "prod_123", "quantity": 2, "amount": 250.50}"#,
        "CONFIRMED",
        None,
    ),
    (
        r#"{"customerId": "cust_large_quantity", "productId": "prod_123", "quantity": 10, "amount": 250.00}"#,
        "CANCELLED",
        Some("out_of_stock"),
    ),
    (
        r#"{"customerId": "cust_big_spender", "productId": "prod_123", "quantity": 1, "amount": 1500.00}"#,
        "FAILED",
        Some("amount_above_limit"),
    ),
    (
        r#"{"customerId": "cust_dlq_test", "productId": "prod_ignore", "quantity": 1, "amount": 99.00}"#,
        "PAID",
        None,
    ),
];

#[tokio::test]
async fn the_four_orders_of_the_demo_end_alike_each_time() {
    let shop = Shop::open("demo_orders").await;
    shop.run(&ONE_EACH).await;
    let mut allowed = Allowed::default();
    for _ in 0..2 {
        shop.restock("prod_123", 9).await;
        for (body, ends, reason) in DEMO_ORDERS {
            let id = post(&shop, body).await;
            let order = shop.status(ORDER, id, Some(ends)).await;
            assert_eq!(order["failureReason"].as_str(), reason, "{order}");
            if ends == "PAID" {
                allowed.dead_letters.insert(id);
            }
        }
        shop.caught_up().await;
    }
    shop.is_correct(&allowed).await;
}

/// The request that curl sends.
async fn post(shop: &Shop, body: &'static str) -> OrderId {
    let post = shop.http.post(format!("{}/orders", shop.url(ORDER)));
    let answer = post.header("Content-Type", "application/json").body(body);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let accepted: serde_json::Value = answer.json().await.unwrap();
    accepted["orderId"].as_str().unwrap().parse().unwrap()
}

/// Members are static and have small batches: a killed one rejoins at once, and is usually in the middle of a batch when killed.
#[tokio::test]
async fn five_hundred_orders_survive_every_service_being_killed_again_and_again() {
    let seed = fastrand::u64(..);
    println!("seed {seed}: fastrand::Rng::with_seed gives the same victims and moments");
    let mut chance = fastrand::Rng::with_seed(seed);
    let shop = Shop::open("killed").await;
    let shop = shop.with("STATIC_MEMBERSHIP", "true");
    let shop = shop.with("BATCH_MAX", "4");
    shop.run(&TWO_EACH).await;
    shop.restock(PRODUCT, 300).await;

    let mut victims = [TWO_EACH; 3].concat();
    chance.shuffle(&mut victims);
    let requests = Request::mixed(500);
    for (victim, requests) in victims.iter().zip(requests.chunks(28)) {
        // Not a synchronisation: the random moment of the crash.
        let moment = Duration::from_millis(chance.u64(0..600));
        let crash = async {
            tokio::time::sleep(moment).await;
            shop.kill(*victim).await;
            shop.start(*victim, &[]).await;
        };
        tokio::join!(shop.place_all(requests, 8), crash);
    }
    assert_eq!(shop.accepted(), 500);
    // One instance of each service stays dead: the other one takes over.
    for who in [ORDER_2, PAYMENT_2, INVENTORY_2] {
        shop.kill(who).await;
    }
    shop.place(&Request::new(PRODUCT, 1, "20.50")).await;
    shop.is_correct(&duplicate_orders()).await;
}

/// Two clients place orders until `stop` is set.
async fn place_until(shop: &Shop, stop: &AtomicBool) {
    let client = async || {
        while !stop.load(Ordering::Relaxed) {
            shop.place_all(&Request::mixed(8), 1).await;
            // Leaves processor time for the services.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::join!(client(), client());
}

async fn more_are_accepted(shop: &Shop, orders: usize) {
    let wanted = shop.accepted() + orders;
    eventually(
        DEADLINE,
        "orders are accepted meanwhile",
        async || match shop.accepted() {
            now if now >= wanted => Ok(()),
            now => Err(format!("{now} of {wanted}")),
        },
    )
    .await;
}

#[tokio::test]
async fn twenty_equal_requests_at_once_over_two_instances_are_one_order() {
    let shop = Shop::open("equal").await;
    shop.run(&[ORDER, ORDER_2, PAYMENT, INVENTORY]).await;
    shop.restock(PRODUCT, 300).await;
    for _ in 0..5 {
        let request = Request::new(PRODUCT, 1, "20.50");
        let twenty = [[ORDER], [ORDER_2]].into_iter().cycle().take(20);
        let twenty: Vec<_> = twenty.collect();
        let placed = join_all(twenty.iter().map(|at| shop.place_at(at, &request))).await;
        let orders: BTreeSet<_> = placed.iter().map(|one| one.order_id).collect();
        let first = placed.iter().filter(|one| !one.repeated);
        assert_eq!((orders.len(), first.count()), (1, 1), "{placed:?}");
    }
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn a_service_that_gets_sigterm_finishes_its_work_first() {
    let shop = Shop::open("drained").await;
    shop.run(&ONE_EACH).await;
    shop.restock(PRODUCT, 300).await;
    let stop = AtomicBool::new(false);
    let endings = async {
        for who in ONE_EACH {
            more_are_accepted(&shop, 20).await;
            shop.terminate(who).await;
            shop.start(who, &[]).await;
            shop.ready(&[who]).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(place_until(&shop, &stop), endings);
    // No order is published twice: each published row was also deleted from the outbox.
    shop.is_correct(&Allowed::default()).await;
    // No order was created whose response was lost.
    let placed = shop.placed();
    assert!(placed.iter().all(|one| !one.repeated), "{placed:?}");
}
