//! Outages of the database. No order is blamed for them.

use std::time::{Duration, Instant};

use inventory_service::app::MIGRATIONS;
use kafka_runtime::Failure;
use test_stack::{DedicatedStack, dedicated};

use crate::overlap::wait_until_a_lock_is_waited_for;
use crate::support::{Stock, instance, paid};

async fn dedicated_stock(stack: &DedicatedStack) -> Stock {
    let stock = instance(&stack.database("outage").await, None);
    MIGRATIONS.run(&stock.pool).await.unwrap();
    stock
}

#[tokio::test]
async fn batches_are_retried_while_the_database_is_killed() {
    let stack = dedicated().await;
    let stock = dedicated_stock(&stack).await;
    stock.put("prod_a", 1000).await;
    let batches: Vec<Vec<_>> = (0..200)
        .map(|_| vec![paid("prod_a", 1), paid("prod_a", 2)])
        .collect();

    let work = async {
        for batch in &batches {
            // Panics if the failure blames a value.
            stock.decide_with_retries(batch).await;
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
async fn a_frozen_database_does_not_block_a_batch_forever() {
    let stack = dedicated().await;
    let stock = dedicated_stock(&stack).await;
    let first = instance(&stock.url, None);
    let batch = [paid("prod_123", 2)];

    // Frozen in the middle of a transaction, where PostgreSQL's own time-outs do not count.
    let mut lock = first.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM products FOR NO KEY UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let started = Instant::now();
    let (failure, ()) = tokio::join!(stock.decide(&batch), async {
        wait_until_a_lock_is_waited_for(&first.pool).await;
        stack.pause_postgres();
    });
    let failure = failure.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure:?}");
    // One run of the consumer loop must stay below max.poll.interval.ms, 60 s.
    assert!(
        started.elapsed() < Duration::from_secs(44),
        "{:?}",
        started.elapsed()
    );
    stack.resume_postgres();

    drop(lock);
    stock.decide_with_retries(&batch).await;
    assert_eq!(stock.left("prod_123").await, 7);
}
