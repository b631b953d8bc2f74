//! Two instances with the same orders: one that lost its partitions while it works, and the one
//! that got them.

use std::time::{Duration, Instant};

use inventory_service::domain::Decision;
use inventory_service::domain::Outcome::{Reserved, UnknownProduct};
use kafka_runtime::Failure;
use shared_events::PaymentSucceeded;
use sqlx::{Connection, PgConnection, PgPool};
use test_stack::eventually;

use crate::support::{PATIENCE, Stock, chain, instance, outcomes, paid, stock};

/// Writes the decision of the earlier instance, in a transaction that the test holds open.
async fn write_decision(earlier: &mut PgConnection, paid: &PaymentSucceeded, outcome: &str) {
    sqlx::query("INSERT INTO decisions VALUES ($1, $2, $3, $4, $5, $6, '2026-01-01T00:00:00Z')")
        .bind(paid.order_id.as_uuid())
        .bind(paid.payment_id.as_uuid())
        .bind(paid.product_id.as_str())
        .bind(paid.quantity.as_i32())
        .bind(paid.amount.as_decimal())
        .bind(outcome)
        .execute(earlier)
        .await
        .unwrap();
}

pub async fn wait_until_a_lock_is_waited_for(pool: &PgPool) {
    let waiting = async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if waiting == 1 {
            Ok(())
        } else {
            Err(format!("{waiting} sessions wait"))
        }
    };
    eventually(PATIENCE, "the second instance waits for a lock", waiting).await;
}

/// Decides, and retries after a lock time-out, which a slow test can cause. Any other failure fails
/// the test.
async fn decide_after_waiting(instance: &Stock, batch: &[PaymentSucceeded]) -> Vec<Decision> {
    loop {
        match instance.decide(batch).await {
            Err(failure) if chain(&failure).contains("lock timeout") => {}
            decided => return decided.unwrap(),
        }
    }
}

#[tokio::test]
async fn an_instance_that_waited_for_the_lock_finds_the_decision() {
    let second = stock("waited").await;
    let first = instance(&second.url, None);
    let order = paid("prod_123", 4);

    let mut session = PgConnection::connect(&second.url).await.unwrap();
    let mut earlier = session.begin().await.unwrap();
    sqlx::query("UPDATE products SET quantity = quantity - 4 WHERE product_id = 'prod_123'")
        .execute(&mut *earlier)
        .await
        .unwrap();
    write_decision(&mut earlier, &order, "reserved").await;

    let batch = [order];
    let (decisions, ()) = tokio::join!(decide_after_waiting(&second, &batch), async {
        wait_until_a_lock_is_waited_for(&first.pool).await;
        earlier.commit().await.unwrap();
    });
    assert_eq!(outcomes(&decisions), [Reserved]);
    assert_eq!(second.left("prod_123").await, 5);
}

#[tokio::test]
async fn the_second_decision_about_an_unknown_product_is_rolled_back() {
    let second = stock("too_late").await;
    let first = instance(&second.url, None);
    // An unknown product has no row to lock, so both instances look the order up before one of them
    // writes the decision.
    let (unknown, known) = (paid("prod_x", 1), paid("prod_123", 4));

    let mut session = PgConnection::connect(&second.url).await.unwrap();
    let mut earlier = session.begin().await.unwrap();
    write_decision(&mut earlier, &unknown, "unknown_product").await;

    let batch = [known, unknown];
    let (lost, ()) = tokio::join!(second.decide(&batch), async {
        wait_until_a_lock_is_waited_for(&first.pool).await;
        earlier.commit().await.unwrap();
    });
    let lost = lost.unwrap_err();
    assert!(matches!(lost, Failure::Retryable { .. }), "{lost:?}");
    assert!(chain(&lost).contains("decisions_pkey"), "{}", chain(&lost));
    assert_eq!(second.left("prod_123").await, 9);

    let decisions = second.decide(&batch).await.unwrap();
    assert_eq!(outcomes(&decisions), [Reserved, UnknownProduct]);
    assert_eq!(
        decisions[1].decided_at.to_rfc3339(),
        "2026-01-01T00:00:00+00:00"
    );
    assert_eq!(second.left("prod_123").await, 5);
}

#[tokio::test]
async fn two_instances_with_the_same_orders_take_stock_once() {
    let one = stock("overlap").await;
    let two = instance(&one.url, None);
    one.put("prod_a", 1_000_000).await;
    one.put("prod_b", 1_000_000).await;
    for _ in 0..30 {
        let orders: Vec<_> = (0..60)
            .map(|n| paid(["prod_a", "prod_b", "prod_x"][n % 3], 1))
            .collect();
        // The second instance has only some of the partitions, and reads them in another order.
        let backwards: Vec<_> = orders.iter().rev().take(45).cloned().collect();
        let (forth, back) = tokio::join!(
            one.decide_with_retries(&orders),
            two.decide_with_retries(&backwards)
        );
        for (ours, theirs) in forth.iter().rev().zip(&back) {
            assert_eq!(ours, theirs);
        }
    }
    let taken = 2_000_000 - one.left("prod_a").await - one.left("prod_b").await;
    assert_eq!(taken, 30 * 40);
}

#[tokio::test]
async fn a_frozen_instance_with_locks_does_not_block_the_other() {
    let second = stock("frozen").await;
    let first = instance(&second.url, None);
    let mut frozen = first.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM products WHERE product_id = 'prod_123' FOR NO KEY UPDATE")
        .execute(&mut *frozen)
        .await
        .unwrap();
    let bound = "SELECT current_setting('idle_in_transaction_session_timeout')";
    let bound: String = sqlx::query_scalar(bound)
        .fetch_one(&mut *frozen)
        .await
        .unwrap();
    assert_eq!(bound, "5s");
    // Longer in this test, so that the other instance's lock time-out of 3 s always ends first.
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = '15s'")
        .execute(&mut *frozen)
        .await
        .unwrap();

    let started = Instant::now();
    let batch = [paid("prod_123", 2)];
    // The first attempt ends by lock_timeout, so the member polls in between. Then PostgreSQL ends
    // the frozen session.
    let first_try = second.decide(&batch).await.unwrap_err();
    assert!(
        matches!(first_try, Failure::Retryable { .. }),
        "{first_try:?}"
    );
    assert!(
        chain(&first_try).contains("lock timeout"),
        "{}",
        chain(&first_try)
    );
    second.decide_with_retries(&batch).await;
    assert!(
        started.elapsed() < Duration::from_secs(40),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(second.left("prod_123").await, 7);

    let awake = frozen.commit().await;
    assert!(
        awake.is_err(),
        "the frozen instance still had its transaction"
    );
}
