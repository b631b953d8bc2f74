//! Faults that running services receive through `sandbox.controls`: no process is restarted to obey them.

use futures::future::join_all;
use serde_json::Value;
use shared_events::{GroupControls, OrNone, Protection};
use test_stack::eventually;

use audit::{Allowed, Rule};

use crate::shop::clients::{PRODUCT, Request};
use crate::shop::{DEADLINE, INVENTORY, Instance, ONE_EACH, ORDER, PAYMENT, Shop};

/// A restarted member rejoins at once, since members are static.
async fn opened(test: &str) -> Shop {
    let shop = Shop::open(test).await.with("STATIC_MEMBERSHIP", "true");
    let shop = shop.with("SANDBOX_UNSAFE", "1");
    shop.run(&ONE_EACH).await;
    shop.restock(PRODUCT, 1_000).await;
    shop
}

fn crash_at(point: &str) -> GroupControls {
    GroupControls {
        crash_at: Some(point.parse().unwrap()),
        ..GroupControls::default()
    }
}

impl Shop {
    /// Sets the controls of an instance's group, and waits until its configuration has this value of a field.
    async fn set(&self, who: Instance, controls: &GroupControls, field: &str, value: &str) {
        self.cluster.set_controls(who.0, controls).await.unwrap();
        self.has(who, field, value).await;
    }

    async fn has(&self, who: Instance, field: &str, value: &str) {
        let url = format!("{}/config", self.url(who));
        eventually(
            DEADLINE,
            &format!("{who} has {field} {value}"),
            async || {
                let answer = self.http.get(&url).send().await;
                let answer = answer.map_err(|error| error.to_string())?;
                let config: Value = answer.json().await.map_err(|error| error.to_string())?;
                match config[field] == value && config["sources"][field] == "group" {
                    true => Ok(()),
                    false => Err(config.to_string()),
                }
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_crash_point_of_the_group_kills_a_running_process_once() {
    let shop = opened("controls_once").await;
    let victims = [
        (ORDER, "accept-after-commit"),
        (PAYMENT, "batch-collected"),
        (INVENTORY, "effect-committed"),
    ];
    for (who, point) in victims {
        shop.set(who, &crash_at(point), "crash_at", point).await;
    }
    let restarts = victims.map(|(who, _)| {
        let shop = &shop;
        async move {
            shop.crashed(who).await;
            shop.start(who, &[]).await;
        }
    });
    let requests = Request::paid(12);
    tokio::join!(shop.place_all(&requests, 4), join_all(restarts));
    shop.ready(&ONE_EACH).await;
    // The restarted processes read the same records and pass the same points.
    for who in ONE_EACH {
        shop.has(who, "crash_at", "none").await;
    }
    shop.place_all(&Request::mixed(8), 4).await;
    let allowed = Allowed {
        duplicate_orders: true,
        ..Allowed::default()
    };
    shop.is_correct(&allowed).await;
}

#[tokio::test]
async fn a_repeated_crash_point_kills_each_restarted_process_until_it_is_cleared() {
    let shop = opened("controls_loop").await;
    let point = "effect-committed";
    let repeated = GroupControls {
        crash_at_repeat: Some(true),
        ..crash_at(point)
    };
    shop.set(INVENTORY, &repeated, "crash_at", point).await;
    shop.place_all(&Request::paid(8), 4).await;
    for _ in 0..2 {
        shop.crashed(INVENTORY).await;
        shop.start(INVENTORY, &[]).await;
    }
    shop.crashed(INVENTORY).await;
    shop.cluster.clear_controls(INVENTORY.0).await.unwrap();
    shop.start(INVENTORY, &[]).await;
    shop.ready(&ONE_EACH).await;
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn a_protection_that_the_group_switches_off_is_missing_in_the_audit() {
    let shop = opened("controls_off").await;
    let off = GroupControls {
        protection_off: Some(OrNone(Some(Protection::Outbox))),
        ..crash_at("accept-after-commit")
    };
    shop.set(ORDER, &off, "protection_off", "outbox").await;
    let restart = async {
        shop.crashed(ORDER).await;
        shop.cluster.clear_controls(ORDER.0).await.unwrap();
        shop.start(ORDER, &[]).await;
    };
    let requests = [(); 4].map(|()| Request::new(PRODUCT, 1, "20.50"));
    tokio::join!(shop.place_all(&requests, 4), restart);
    shop.ready(&ONE_EACH).await;
    // The order is accepted and its event is never published.
    shop.breaks(
        &Allowed::default(),
        &[Rule::EveryOrderEndsOrWaits, Rule::OneOrderCreated],
    )
    .await;
}
