//! Deciding about batches, with one instance.

use inventory_service::domain::Outcome::{OutOfStock, Reserved, UnknownProduct};
use kafka_runtime::Protection;

use crate::support::{instance, outcomes, paid, stock};

#[tokio::test]
async fn the_stock_begins_with_the_products_of_the_readme() {
    let stock = stock("seeds").await;
    for (product, pieces) in [
        ("prod_123", 9),
        ("prod_burst", 1_000_000_000),
        ("prod_ignore", 1000),
    ] {
        assert_eq!(stock.left(product).await, pieces, "{product}");
    }
}

#[tokio::test]
async fn a_mixed_batch_is_decided_in_order() {
    let stock = stock("mixed").await;
    stock.put("prod_b", 5).await;
    let batch = [
        paid("prod_123", 8),
        paid("prod_b", 5),
        paid("prod_123", 2),
        paid("prod_x", 1),
        paid("prod_123", 1),
        paid("prod_b", 1),
    ];
    let decisions = stock.decide(&batch).await.unwrap();
    assert_eq!(
        outcomes(&decisions),
        [
            Reserved,
            Reserved,
            OutOfStock,
            UnknownProduct,
            Reserved,
            OutOfStock
        ]
    );
    let decided: Vec<_> = decisions.iter().map(|decision| decision.order_id).collect();
    let expected: Vec<_> = batch.iter().map(|paid| paid.order_id).collect();
    assert_eq!(decided, expected);
    assert_eq!(
        (stock.left("prod_123").await, stock.left("prod_b").await),
        (0, 0)
    );
}

#[tokio::test]
async fn a_payment_twice_in_a_batch_takes_stock_once() {
    let stock = stock("twice").await;
    let (once, other) = (paid("prod_123", 4), paid("prod_123", 1));
    let batch = [once.clone(), other, once.clone()];
    let decisions = stock.decide(&batch).await.unwrap();
    assert_eq!(outcomes(&decisions), [Reserved; 3]);
    assert_eq!(decisions[0], decisions[2]);
    assert_eq!(stock.left("prod_123").await, 4);
}

#[tokio::test]
async fn a_repeated_batch_gets_the_same_decisions_and_takes_nothing() {
    let stock = stock("again").await;
    let batch = [paid("prod_123", 4), paid("prod_123", 6), paid("prod_x", 1)];
    let first = stock.decide(&batch).await.unwrap();
    stock.put("prod_x", 100).await;
    let again = stock.decide(&batch).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(
        (stock.left("prod_123").await, stock.left("prod_x").await),
        (5, 100)
    );
    assert_eq!(stock.metric("inventory_decisions_total", None), 3);
    assert_eq!(
        stock.metric("inventory_decisions_total", Some("reserved")),
        1
    );
    assert_eq!(stock.metric("inventory_repeated_answers_total", None), 3);
}

#[tokio::test]
async fn a_batch_of_old_and_new_orders_decides_only_the_new() {
    let stock = stock("old_and_new").await;
    let (old, new) = (paid("prod_123", 4), paid("prod_123", 4));
    let first = stock.decide(std::slice::from_ref(&old)).await.unwrap();
    let both = stock.decide(&[new, old]).await.unwrap();
    assert_eq!(both[1], first[0]);
    assert_eq!(stock.left("prod_123").await, 1);
}

/// The negative control: it shows what the look-up of earlier decisions prevents.
#[tokio::test]
async fn without_the_protection_a_repeated_batch_takes_stock_again() {
    let kept = stock("unprotected").await;
    let stock = instance(&kept.url, Some(Protection::IdempotentEffect));
    let batch = [paid("prod_123", 3)];
    stock.decide(&batch).await.unwrap();
    stock.decide(&batch).await.unwrap();
    assert_eq!(stock.left("prod_123").await, 3);
}
