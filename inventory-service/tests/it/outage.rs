//! The database goes away and comes back. None of it is the fault of an order.

use std::time::{Duration, Instant};

use inventory_service::app::MIGRATIONS;
use kafka_runtime::Failure;
use test_stack::{OwnStack, exclusive};

use crate::overlap::until_somebody_waits_for_a_lock;
use crate::support::{Stock, owner, paid};

async fn stock_of_its_own(stack: &OwnStack) -> Stock {
    let stock = owner(&stack.database("outage").await, None);
    MIGRATIONS.run(&stock.pool).await.unwrap();
    stock
}

#[tokio::test]
async fn a_killed_database_lets_batches_come_again_until_it_is_back() {
    let stack = exclusive().await;
    let stock = stock_of_its_own(&stack).await;
    stock.put("prod_a", 1000).await;
    let batches: Vec<Vec<_>> = (0..200)
        .map(|_| vec![paid("prod_a", 1), paid("prod_a", 2)])
        .collect();

    let work = async {
        for batch in &batches {
            // Panics if a value is blamed.
            stock.decide_at_last(batch).await;
        }
    };
    let outage = async {
        stack.kill_postgres().await;
        let refused = stock.decide(&batches[0]).await.unwrap_err();
        assert!(matches!(refused, Failure::Retryable { .. }), "{refused:?}");
        stack.start_postgres().await;
    };
    tokio::join!(work, outage);
    assert_eq!(stock.left("prod_a").await, 1000 - 200 * 3);
}

#[tokio::test]
async fn a_frozen_database_does_not_hold_a_batch_for_ever() {
    let stack = exclusive().await;
    let stock = stock_of_its_own(&stack).await;
    let first = owner(&stock.url, None);
    let batch = [paid("prod_123", 2)];

    // Frozen in the middle of a transaction, where no time-out of PostgreSQL's own counts.
    let mut lock = first.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM products FOR NO KEY UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let started = Instant::now();
    let (given_up, ()) = tokio::join!(stock.decide(&batch), async {
        until_somebody_waits_for_a_lock(&first.pool).await;
        stack.pause_postgres();
    });
    let given_up = given_up.unwrap_err();
    assert!(
        matches!(given_up, Failure::Retryable { .. }),
        "{given_up:?}"
    );
    // A turn of the member's loop must stay below 45 s.
    assert!(
        started.elapsed() < Duration::from_secs(44),
        "{:?}",
        started.elapsed()
    );
    stack.continue_postgres();

    drop(lock);
    stock.decide_at_last(&batch).await;
    assert_eq!(stock.left("prod_123").await, 7);
}
