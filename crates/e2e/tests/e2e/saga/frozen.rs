//! Frozen processes: no other process is notified, and a frozen process keeps its locks and sessions.

use futures::future::join_all;
use shared_events::Service;
use sqlx::{Connection, PgConnection};
use test_stack::eventually;

use super::{duplicate_orders, more_are_accepted};
use crate::shop::clients::{PRODUCT, Request};
use crate::shop::{DEADLINE, INVENTORY, INVENTORY_2, Instance, ORDER, ORDER_2, PAYMENT, Shop};
use audit::Allowed;

/// The instance of order-service whose relay is active, and the other one.
async fn leader(shop: &Shop) -> (Instance, Instance) {
    eventually(DEADLINE, "one relay is active", async || {
        let leads = async |who| shop.metric(who, "outbox_relay_leads").await == Some(1.0);
        match (leads(ORDER).await, leads(ORDER_2).await) {
            (true, false) => Ok((ORDER, ORDER_2)),
            (false, true) => Ok((ORDER_2, ORDER)),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_frozen_relay_is_replaced_and_may_come_back() {
    let shop = Shop::open("frozen_relay").await;
    shop.run(&[ORDER, ORDER_2, PAYMENT, INVENTORY]).await;
    shop.restock(PRODUCT, 300).await;
    let (leader, other) = leader(&shop).await;

    let through_leader = Request::mixed(40);
    let at = [leader];
    let placing = through_leader
        .iter()
        .map(|request| shop.place_at(&at, request));
    let freezing = async {
        more_are_accepted(&shop, 1).await;
        shop.freeze(leader);
        // PostgreSQL ends its idle session after 5 s, which releases the advisory lock.
        shop.flows(other).await;
        assert_eq!(shop.metric(other, "outbox_relay_leads").await, Some(1.0));
        shop.thaw(leader);
    };
    tokio::join!(join_all(placing), freezing);
    shop.place_all(&Request::mixed(40), 8).await;
    shop.is_correct(&duplicate_orders()).await;
}

#[tokio::test]
async fn a_frozen_member_with_row_locks_does_not_stop_the_other() {
    let shop = Shop::open("frozen_member").await;
    shop.run(&[ORDER, PAYMENT, INVENTORY, INVENTORY_2]).await;
    shop.restock(PRODUCT, 300).await;
    both_own_partitions(&shop).await;

    let url = shop.server.admin_url(&shop.inventory_db);
    // Opened beforehand: the states that are looked for last only some seconds.
    let mut looks = PgConnection::connect(&url).await.unwrap();
    let mut ours = PgConnection::connect(&url).await.unwrap();
    let mut lock = ours.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM products WHERE product_id = $1 FOR NO KEY UPDATE")
        .bind(PRODUCT)
        .execute(&mut *lock)
        .await
        .unwrap();
    shop.place_all(&Request::mixed(40), 8).await;
    // The wait must be young: its lock time-out is 3 s, and it must still wait when it is frozen.
    let waits = |(_, waits_for, fresh): &Session| {
        waits_for.as_deref() == Some("Lock") && *fresh == Some(true)
    };
    session_of(&mut looks, INVENTORY, waits).await;
    shop.freeze(INVENTORY);
    // The frozen process now gets the lock.
    lock.commit().await.unwrap();
    let holds_lock = |(state, ..): &Session| state.as_deref() == Some("idle in transaction");
    session_of(&mut looks, INVENTORY, holds_lock).await;

    for _ in 0..4 {
        shop.flows(ORDER).await;
    }
    shop.thaw(INVENTORY);
    shop.place_all(&Request::mixed(8), 8).await;
    shop.is_correct(&Allowed::default()).await;
}

async fn both_own_partitions(shop: &Shop) {
    let group = shop.kafka.name_prefix.group(Service::Inventory);
    eventually(DEADLINE, "both members own partitions", async || {
        let groups = shop.lags().await?;
        let group = groups.iter().find(|(name, _)| *name == group);
        let members = group.map_or(&[][..], |(_, group)| &group.members);
        let owners = members.iter().filter(|one| !one.assignment.is_empty());
        if owners.count() == 2 {
            Ok(())
        } else {
            Err(format!("{group:?}"))
        }
    })
    .await;
}

/// A row of `pg_stat_activity`: state, wait event type, and whether the statement began less than a second ago.
type Session = (Option<String>, Option<String>, Option<bool>);

/// Waits until PostgreSQL shows a session of this instance for which `wanted` holds.
async fn session_of(looks: &mut PgConnection, who: Instance, wanted: impl Fn(&Session) -> bool) {
    eventually(DEADLINE, "the expected session", async || {
        let sessions: Vec<Session> = sqlx::query_as(
            "SELECT state, wait_event_type, now() - query_start < interval '1 s' FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = $1",
        )
        .bind(who.to_string())
        .fetch_all(&mut *looks)
        .await
        .unwrap();
        match sessions.iter().any(&wanted) {
            true => Ok(()),
            false => Err(format!("{sessions:?}")),
        }
    })
    .await;
}
