//! Processes that stop without dying: nobody is told, and what they hold they keep.

use futures::future::join_all;
use shared_events::Service;
use sqlx::{Connection, PgConnection};
use test_stack::eventually;

use super::{more_are_accepted, told_again};
use crate::shop::audit::Allowed;
use crate::shop::clients::{PRODUCT, Request};
use crate::shop::{DEADLINE, INVENTORY, INVENTORY_2, Instance, ORDER, ORDER_2, PAYMENT, Shop};

/// The instance of order-service that relays, and the other.
async fn leader(shop: &Shop) -> (Instance, Instance) {
    eventually(DEADLINE, "one instance relays", async || {
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
        // Its database session ends after 5 s of silence, and its lock with it.
        shop.flows(other).await;
        assert_eq!(shop.metric(other, "outbox_relay_leads").await, Some(1.0));
        shop.thaw(leader);
    };
    tokio::join!(join_all(placing), freezing);
    shop.place_all(&Request::mixed(40), 8).await;
    shop.is_sound(&told_again()).await;
}

#[tokio::test]
async fn a_frozen_member_with_row_locks_does_not_stop_the_other() {
    let shop = Shop::open("frozen_member").await;
    shop.run(&[ORDER, PAYMENT, INVENTORY, INVENTORY_2]).await;
    shop.restock(PRODUCT, 300).await;
    both_own_partitions(&shop).await;

    let url = shop.server.admin_url(&shop.inventory_db);
    let mut ours = PgConnection::connect(&url).await.unwrap();
    let mut lock = ours.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM products WHERE product_id = $1 FOR NO KEY UPDATE")
        .bind(PRODUCT)
        .execute(&mut *lock)
        .await
        .unwrap();
    shop.place_all(&Request::mixed(40), 8).await;
    // Fresh, so that it still waits when it is frozen: it gives up after 3 s.
    let waits = "wait_event_type = 'Lock' AND now() - query_start < interval '1 s'";
    session_of(&shop, INVENTORY, waits).await;
    shop.freeze(INVENTORY);
    // Now the lock is given to a process that does nothing with it.
    lock.commit().await.unwrap();
    session_of(&shop, INVENTORY, "state = 'idle in transaction'").await;

    for _ in 0..4 {
        shop.flows(ORDER).await;
    }
    shop.thaw(INVENTORY);
    shop.place_all(&Request::mixed(8), 8).await;
    shop.is_sound(&Allowed::default()).await;
}

async fn both_own_partitions(shop: &Shop) {
    let group = shop.kafka.name_prefix.group(Service::Inventory);
    eventually(DEADLINE, "both members own partitions", async || {
        let group = shop.cluster.group(&group).await.unwrap();
        let owners = group.members.iter().filter(|one| !one.owns.is_empty());
        if owners.count() == 2 {
            Ok(())
        } else {
            Err(format!("{group:?}"))
        }
    })
    .await;
}

/// Waits until PostgreSQL shows a session of this instance in this state.
async fn session_of(shop: &Shop, who: Instance, state: &str) {
    let sessions = format!(
        "SELECT state, wait_event_type, now() - query_start FROM pg_stat_activity
         WHERE datname = '{}' AND application_name = '{who}'",
        shop.inventory_db
    );
    eventually(DEADLINE, &format!("a session with {state}"), async || {
        let wanted = format!("{sessions} AND {state}");
        if shop.sql("postgres", &wanted).await?.is_empty() {
            Err(shop.sql("postgres", &sessions).await?)
        } else {
            Ok(())
        }
    })
    .await;
}
