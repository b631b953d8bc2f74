//! How many orders are stuck, and what they wait for.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use shared_events::http_api::OrderView;

use crate::shop_client::ShopClient;
use crate::shop_client::orders::OrderQuery;

/// The most orders that are counted.
const MOST: usize = 10_000;

/// The orders whose saga has not ended, and that had no event for 60 s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckOrders {
    /// Their number.
    pub count: usize,
    /// Whether there are more.
    pub has_more: bool,
    /// The number that waits for each event or alternative, as `InventoryReserved or InventoryOutOfStock`.
    pub waiting_for: BTreeMap<String, usize>,
}

/// Counts at most 10 000 stuck orders.
pub async fn stuck_orders(shop: &ShopClient<'_>) -> Result<StuckOrders> {
    let query = OrderQuery {
        stuck: true,
        ..OrderQuery::default()
    };
    let found = shop.orders(&query, MOST).await?;
    Ok(StuckOrders {
        has_more: found.has_more,
        ..count(&found.orders)
    })
}

fn count(orders: &[OrderView]) -> StuckOrders {
    let mut waiting_for: BTreeMap<String, usize> = BTreeMap::new();
    for order in orders {
        *waiting_for.entry(awaited_events(order)).or_default() += 1;
    }
    StuckOrders {
        count: orders.len(),
        has_more: false,
        waiting_for,
    }
}

/// The events one of which continues the saga of an order: `InventoryReserved or InventoryOutOfStock`; `-` after its end.
pub fn awaited_events(order: &OrderView) -> String {
    let events = order.waiting_for.iter().flatten();
    let names: Vec<String> = events.map(ToString::to_string).collect();
    match names.is_empty() {
        true => "-".to_owned(),
        false => names.join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use shared_events::OrderId;
    use shared_events::http_api::OrderStatus;

    use super::*;

    fn order(status: OrderStatus) -> OrderView {
        let order = serde_json::json!({
            "orderId": OrderId::now(), "status": status, "customerId": null, "productId": null, "quantity": null, "amount": null,
            "correlationId": null, "paymentId": null, "failureReason": null, "impossible": false, "facts": [],
            "waitingFor": status.next_events(), "waitingSince": null,
        });
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn stuck_orders_are_counted_by_what_they_wait_for() {
        let orders = [OrderStatus::Paid, OrderStatus::Refunding, OrderStatus::Paid].map(order);
        let counted = count(&orders);
        assert_eq!(counted.count, 3);
        let of = |awaited: &str| counted.waiting_for.get(awaited).copied();
        assert_eq!(of("InventoryReserved or InventoryOutOfStock"), Some(2));
        assert_eq!(of("PaymentRefunded"), Some(1));
        assert_eq!(count(&[]), StuckOrders::default());
    }
}
