//! The list of orders whose saga has stopped.

use order_service::store::{OrderFilter, Page, stuck_orders};
use serde_json::{Value, json};
use shared_events::{EventType, OrderId};

use crate::reading::{add_fact, ids};
use crate::support::{database, order, without_kafka};

/// The ids of all pages that `read` returns.
async fn all_pages(read: impl AsyncFn(Option<OrderId>) -> Page) -> Vec<Vec<OrderId>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = read(after).await;
        pages.push(page.orders.iter().map(|order| order.order_id).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn stuck_orders_are_listed_the_oldest_first_with_what_they_wait_for() {
    let (url, pool) = database("stuck").await;
    let shop = without_kafka(&url, &[]).await;
    let mut placed = Vec::new();
    for _ in 0..6 {
        placed.push(shop.post(&order()).await.id());
    }
    add_fact(&pool, &placed[1], EventType::PaymentSucceeded).await;
    add_fact(&pool, &placed[2], EventType::PaymentFailed).await;
    assert_eq!(
        shop.get("/orders?stuck=true").await.body,
        json!({"orders": [], "next": null})
    );
    // Two minutes pass for all orders but the last.
    sqlx::query(
        "UPDATE orders SET created_at = created_at - interval '2 minutes', paid_at = paid_at - interval '2 minutes',
                           payment_failed_at = payment_failed_at - interval '2 minutes'
         WHERE order_id <> $1::uuid",
    )
    .bind(&placed[5])
    .execute(&pool)
    .await
    .unwrap();
    let expected = [0, 1, 3, 4].map(|n: usize| placed[n].clone());
    let page = shop.get("/orders?stuck=true").await.body;
    assert_eq!(
        (ids(&page), &page["next"]),
        (expected.to_vec(), &Value::Null)
    );
    assert_eq!(
        page["orders"][1]["waitingFor"],
        json!(["InventoryReserved", "InventoryOutOfStock"])
    );
    assert_eq!(shop.metric("orders_waiting_over_60s").await, 4.0);

    let first = shop.get("/orders?stuck=true&limit=3").await.body;
    assert_eq!(
        (ids(&first), &first["next"]),
        (expected[..3].to_vec(), &json!(expected[2]))
    );
    let rest = shop
        .get(&format!("/orders?stuck=true&limit=3&after={}", expected[2]))
        .await
        .body;
    assert_eq!(
        (ids(&rest), &rest["next"]),
        (expected[3..].to_vec(), &Value::Null)
    );
    let paid = shop.get("/orders?stuck=true&status=PAID").await.body;
    assert_eq!(ids(&paid), expected[1..2]);
    assert_eq!(ids(&shop.get("/orders?stuck=false").await.body).len(), 6);

    // Each page reads two orders of six, so all four are found on three pages.
    let pages = all_pages(async |after| {
        let filter = OrderFilter {
            after,
            limit: 50,
            ..OrderFilter::default()
        };
        stuck_orders::list_within(&pool, &filter, 2).await.unwrap()
    });
    let expected = [&[0, 1][..], &[3], &[4], &[]].map(|page| {
        page.iter()
            .map(|n: &usize| placed[*n].parse().unwrap())
            .collect::<Vec<OrderId>>()
    });
    assert_eq!(pages.await, expected);
}
