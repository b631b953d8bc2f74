//! One test for each crash point: the process is killed there, and the audit finds no violation. One negative control for each
//! protection: with the protection disabled, the audit finds exactly the violation that the protection prevents.
//!
//! `seek-back`, `drop-revoked` and `poison-limit` concern a single member; their controls are in `crates/kafka-runtime/tests`.
//!
//! Members are static here (`STATIC_MEMBERSHIP`), so a restarted member rejoins at once. In the tests of `saga` a restarted member
//! waits for the session time-out of its predecessor.

use futures::future::join_all;
use kafka_runtime::faults::{CrashPoint, Protection};
use test_stack::eventually;

use audit::{Allowed, Rule};

use crate::shop::clients::{AcceptedRequest, PRODUCT, Request};
use crate::shop::{INVENTORY, Instance, ONE_EACH, ORDER, ORDER_2, PAYMENT, Shop};

/// Stock of the product that most requests order. It is too low for all of them.
const STOCK: i64 = 20;

fn duplicate_orders() -> Allowed {
    Allowed {
        duplicate_orders: true,
        ..Allowed::default()
    }
}

async fn opened(test: &str) -> Shop {
    Shop::open(test).await.with("STATIC_MEMBERSHIP", "true")
}

/// The setting, with the switch that permits it.
fn unsafely<'s>(name: &'s str, value: &'s str) -> [(&'s str, &'s str); 2] {
    [("SANDBOX_UNSAFE", "1"), (name, value)]
}

/// Runs a shop whose `victims` kill themselves at `point` while orders are placed, and restarts each victim when it has died.
/// Returns the responses of the clients.
async fn crash(shop: &Shop, point: CrashPoint, victims: &[Instance]) -> Vec<AcceptedRequest> {
    for who in ONE_EACH {
        let fatal = unsafely("CRASH_AT", point.name());
        let settings: &[_] = if victims.contains(&who) { &fatal } else { &[] };
        shop.start(who, settings).await;
    }
    shop.ready(&[INVENTORY]).await;
    shop.restock(PRODUCT, STOCK).await;
    let requests = Request::paid(12);
    let restarts = victims.iter().map(|who| async {
        shop.crashed(*who).await;
        shop.start(*who, &[]).await;
    });
    let (placed, _) = tokio::join!(shop.place_all(&requests, 4), join_all(restarts));
    shop.ready(&ONE_EACH).await;
    shop.place_all(&Request::mixed(8), 4).await;
    placed
}

#[tokio::test]
async fn crash_at_accept_before_commit() {
    let shop = opened("accept_before_commit").await;
    let placed = crash(&shop, CrashPoint::AcceptBeforeCommit, &[ORDER]).await;
    assert!(
        placed.iter().any(|one| one.unanswered_attempts > 0),
        "{placed:?}"
    );
    assert!(placed.iter().all(|one| !one.repeated), "{placed:?}");
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn crash_at_accept_after_commit() {
    let shop = opened("accept_after_commit").await;
    let placed = crash(&shop, CrashPoint::AcceptAfterCommit, &[ORDER]).await;
    let repeated: Vec<_> = placed.iter().filter(|one| one.repeated).collect();
    assert!(
        !repeated.is_empty() && repeated.iter().all(|one| one.unanswered_attempts > 0),
        "{placed:?}"
    );
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn crash_at_relay_before_publish() {
    let shop = opened("relay_before_publish").await;
    crash(&shop, CrashPoint::RelayBeforePublish, &[ORDER]).await;
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn crash_at_relay_after_publish() {
    let shop = opened("relay_after_publish").await;
    crash(&shop, CrashPoint::RelayAfterPublish, &[ORDER]).await;
    // A killed relay may publish one order twice; the output events are then published twice as well.
    shop.breaks(&Allowed::default(), &[Rule::PublishedOnce])
        .await;
    shop.is_correct(&duplicate_orders()).await;
}

#[tokio::test]
async fn crash_at_batch_collected() {
    let shop = opened("batch_collected").await;
    crash(&shop, CrashPoint::BatchCollected, &ONE_EACH).await;
    shop.is_correct(&duplicate_orders()).await;
}

#[tokio::test]
async fn crash_at_effect_committed() {
    let shop = opened("effect_committed").await;
    crash(&shop, CrashPoint::EffectCommitted, &ONE_EACH).await;
    shop.is_correct(&duplicate_orders()).await;
}

#[tokio::test]
async fn crash_at_outputs_acknowledged() {
    let shop = opened("outputs_acknowledged").await;
    crash(
        &shop,
        CrashPoint::OutputsAcknowledged,
        &[PAYMENT, INVENTORY],
    )
    .await;
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn crash_at_outputs_acknowledged_at_least_once_duplicates_events_only() {
    let shop = opened("at_least_once").await;
    let shop = shop.with("DELIVERY", "at-least-once");
    crash(
        &shop,
        CrashPoint::OutputsAcknowledged,
        &[PAYMENT, INVENTORY],
    )
    .await;
    shop.breaks(&Allowed::default(), &[Rule::OneOutputPerRecord])
        .await;
    let allowed = Allowed {
        duplicate_outputs: true,
        ..Allowed::default()
    };
    shop.is_correct(&allowed).await;
}

#[tokio::test]
async fn crash_at_offsets_added() {
    let shop = opened("offsets_added").await;
    crash(&shop, CrashPoint::OffsetsAdded, &[PAYMENT, INVENTORY]).await;
    shop.is_correct(&Allowed::default()).await;
}

#[tokio::test]
async fn crash_at_batch_committed() {
    let shop = opened("batch_committed").await;
    crash(&shop, CrashPoint::BatchCommitted, &ONE_EACH).await;
    shop.is_correct(&duplicate_orders()).await;
}

/// Like [`crash`], with one protection of the victim disabled before and after the crash.
async fn crash_without(shop: &Shop, off: Protection, point: CrashPoint, victim: Instance) {
    let off = unsafely("PROTECTION_OFF", off.name());
    for who in ONE_EACH {
        let fatal = [off[0], off[1], ("CRASH_AT", point.name())];
        let settings: &[_] = if who == victim { &fatal } else { &[] };
        shop.start(who, settings).await;
    }
    shop.ready(&[INVENTORY]).await;
    shop.restock(PRODUCT, STOCK).await;
    let requests = [(); 4].map(|()| Request::new(PRODUCT, 1, "20.50"));
    let restart = async {
        shop.crashed(victim).await;
        shop.start(victim, &off).await;
    };
    tokio::join!(shop.place_all(&requests, 4), restart);
    shop.ready(&ONE_EACH).await;
}

#[tokio::test]
async fn without_outbox_the_audit_fails() {
    let shop = opened("no_outbox").await;
    crash_without(
        &shop,
        Protection::Outbox,
        CrashPoint::AcceptAfterCommit,
        ORDER,
    )
    .await;
    // The order is accepted and its event is never published.
    shop.breaks(
        &Allowed::default(),
        &[Rule::EveryOrderEndsOrWaits, Rule::OneOrderCreated],
    )
    .await;
}

#[tokio::test]
async fn without_idempotency_key_the_audit_fails() {
    let shop = opened("no_key").await;
    let off = Protection::IdempotencyKey;
    crash_without(&shop, off, CrashPoint::AcceptAfterCommit, ORDER).await;
    shop.breaks(&Allowed::default(), &[]).await;
    let orders = shop.orders_of_requests().await;
    assert!(orders.iter().any(|orders| orders.len() > 1), "{orders:?}");
}

#[tokio::test]
async fn without_idempotent_effect_the_audit_fails() {
    let shop = opened("no_effect_once").await;
    let off = Protection::IdempotentEffect;
    crash_without(&shop, off, CrashPoint::EffectCommitted, INVENTORY).await;
    shop.breaks(&Allowed::default(), &[Rule::StockAddsUp]).await;
}

#[tokio::test]
async fn without_offsets_in_transaction_the_audit_fails() {
    for (test, victim) in [("no_offsets_p", PAYMENT), ("no_offsets_i", INVENTORY)] {
        let shop = opened(test).await;
        let off = Protection::OffsetsInTransaction;
        crash_without(&shop, off, CrashPoint::OutputsAcknowledged, victim).await;
        shop.breaks(&Allowed::default(), &[Rule::OneOutputPerRecord])
            .await;
    }
}

/// Without a crash: the protection prevents two relays at the same time.
#[tokio::test]
async fn without_single_relay_the_audit_fails() {
    let shop = opened("no_single_relay").await;
    let off = unsafely("PROTECTION_OFF", Protection::SingleRelay.name());
    for who in [ORDER, ORDER_2] {
        shop.start(who, &off).await;
    }
    shop.run(&[PAYMENT, INVENTORY]).await;
    shop.ready(&[ORDER, ORDER_2]).await;
    // Both relays must read the same row at the same moment, which is random; so there are several rounds.
    eventually(
        4 * crate::shop::DEADLINE,
        "an order is published twice",
        async || {
            shop.place_all(&Request::mixed(100), 50).await;
            shop.caught_up().await;
            match shop.report(&Allowed::anything()).await.figures.doubled {
                0 => Err(format!("none of {} orders", shop.accepted())),
                _ => Ok(()),
            }
        },
    )
    .await;
    shop.breaks(&Allowed::default(), &[Rule::PublishedOnce])
        .await;
}
