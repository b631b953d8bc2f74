//! Each crash point, and each protection: the process is killed just there, and the audit finds every promise kept; with the
//! protection off that guards the point, it finds the very promise broken that the protection is for.
//!
//! `seek-back`, `drop-revoked` and `poison-limit` guard a member against its own past, and are controlled in `messaging/tests`.
//!
//! Members are static here (`STATIC_MEMBERSHIP`), so that a restarted one is back at once; in the tests of `saga` they wait for
//! the session of the dead.

use futures::future::join_all;
use kafka_runtime::faults::{CrashPoint, Protection};
use shared_events::EventType;
use test_stack::eventually;

use audit::AcceptedRequest;
use audit::{Allowed, Rule};

use crate::shop::clients::{PRODUCT, Request};
use crate::shop::{INVENTORY, Instance, ONE_EACH, ORDER, ORDER_2, PAYMENT, Shop};

/// Of the product that most ask for: some requests find nothing left.
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

/// The settings that make a process unsafe.
fn unsafely<'s>(name: &'s str, value: &'s str) -> [(&'s str, &'s str); 2] {
    [("SANDBOX_UNSAFE", "1"), (name, value)]
}

/// Runs a shop in which these instances die at this point, places orders meanwhile, and starts each of them again as soon as it
/// has died. Returns what the clients were told.
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
    // It goes on as if nothing had been.
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
    // The one repetition that a killed relay may cause; its answers are repeated with it.
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
async fn crash_at_outputs_acknowledged_at_least_once_tells_again_and_breaks_nothing_else() {
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

/// As [`crash`], with a protection off in the one service that has it, before the crash and after.
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
    // Accepted, and nobody will ever hear of it.
    shop.breaks(
        &Allowed::default(),
        &[Rule::EveryOrderCompletes, Rule::NothingLost],
    )
    .await;
}

#[tokio::test]
async fn without_idempotency_key_the_audit_fails() {
    let shop = opened("no_key").await;
    let off = Protection::IdempotencyKey;
    crash_without(&shop, off, CrashPoint::AcceptAfterCommit, ORDER).await;
    shop.breaks(&Allowed::default(), &[Rule::OneOrderPerRequest])
        .await;
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

/// No crash here: it guards against two that relay at once.
#[tokio::test]
async fn without_single_relay_the_audit_fails() {
    let shop = opened("no_single_relay").await;
    let off = unsafely("PROTECTION_OFF", Protection::SingleRelay.name());
    for who in [ORDER, ORDER_2] {
        shop.start(who, &off).await;
    }
    shop.run(&[PAYMENT, INVENTORY]).await;
    shop.ready(&[ORDER, ORDER_2]).await;
    // Whether two meet over one row is chance, in each round anew.
    eventually(
        4 * crate::shop::DEADLINE,
        "an order is told twice",
        async || {
            shop.place_all(&Request::mixed(100), 50).await;
            shop.caught_up().await;
            let told = shop.observed().await.published;
            let created = told
                .iter()
                .filter(|one| one.envelope.event.event_type() == EventType::OrderCreated);
            let created = created.count();
            if created > shop.accepted() {
                Ok(())
            } else {
                Err(format!("{created} records of {} orders", shop.accepted()))
            }
        },
    )
    .await;
    shop.breaks(&Allowed::default(), &[Rule::PublishedOnce])
        .await;
}
