//! Broker and database: missing at the start, killed, frozen.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use test_stack::{DedicatedStack, dedicated, eventually};

use super::{duplicate_orders, more_are_accepted, place_until};
use crate::shop::clients::PRODUCT;
use crate::shop::{DEADLINE, Instance, ONE_EACH, ORDER, Shop};

async fn a_request_is_refused(shop: &Shop) {
    let before = shop.refused();
    eventually(DEADLINE, "a client gets 503", async || {
        if shop.refused() > before {
            Ok(())
        } else {
            Err("no refusal yet")
        }
    })
    .await;
}

async fn break_everything_in_turn(own: &DedicatedStack, shop: &Shop) {
    own.kill_kafka().await;
    more_are_accepted(shop, 50).await;
    own.start_kafka().await;
    shop.flows(ORDER).await;

    own.kill_postgres().await;
    a_request_is_refused(shop).await;
    own.start_postgres().await;
    shop.flows(ORDER).await;

    own.pause_kafka();
    // Takes longer than the session time-out of the members.
    more_are_accepted(shop, 600).await;
    own.resume_kafka();
    shop.flows(ORDER).await;

    own.pause_postgres();
    a_request_is_refused(shop).await;
    own.resume_postgres();
    shop.flows(ORDER).await;
}

#[tokio::test]
async fn services_wait_for_broker_topics_and_databases_and_outlive_their_outages() {
    let own = dedicated().await;
    own.kill_kafka().await;
    own.kill_postgres().await;
    let shop = Shop::on(&own);
    for who in ONE_EACH {
        shop.start(who, &[]).await;
    }
    for who in ONE_EACH {
        is_not_ready(&shop, who).await;
    }
    own.start_postgres().await;
    own.start_kafka().await;
    shop.create_topics_and_databases().await;
    shop.ready(&ONE_EACH).await;
    shop.restock(PRODUCT, 300).await;
    shop.flows(ORDER).await;

    let stop = AtomicBool::new(false);
    let outages = async {
        break_everything_in_turn(&own, &shop).await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(place_until(&shop, &stop), outages);
    shop.is_correct(&duplicate_orders()).await;
}

/// The instance is alive and not ready.
async fn is_not_ready(shop: &Shop, who: Instance) {
    let health = |kind| shop.http.get(format!("{}/health/{kind}", shop.url(who)));
    eventually(DEADLINE, &format!("{who} is alive"), async || {
        let answer = health("live").send().await;
        answer.and_then(|answer| answer.error_for_status())
    })
    .await;
    let answer = health("ready").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{who}");
}
