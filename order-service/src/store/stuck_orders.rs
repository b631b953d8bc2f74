//! The orders whose saga has stopped.
//!
//! No index can find them: it would contain facts, and then no update of an order could be a HOT
//! update (see the migration). So one request reads a bounded number of orders by their ids, and
//! the next page continues where it stopped.

use shared_events::OrderId;
use shared_events::http_api::OrderStatus;
use sqlx::PgPool;
use uuid::Uuid;

use super::{OrderFilter, Page};

/// Most orders that one [`list`] reads.
const MAX_SCAN: i64 = 100_000;

/// The condition that the latest fact of an order is older than 60 s. An order that meets it and
/// has no final status is stuck: the gauge `orders_waiting_over_60s` counts these orders, and
/// [`list`] returns them.
macro_rules! waiting_over_60s {
    () => {
        "GREATEST(created_at, paid_at, payment_failed_at, reserved_at, out_of_stock_at, refunded_at)
             < now() - interval '60 seconds'"
    };
}
pub(crate) use waiting_over_60s;

/// A page of stuck orders, the oldest first. A page may have fewer orders than the limit, or none,
/// although it is not the last one.
pub async fn list(pool: &PgPool, filter: &OrderFilter) -> Result<Page, sqlx::Error> {
    list_within(pool, filter, MAX_SCAN).await
}

/// [`list`] which reads at most `scan` orders; at least 1.
pub async fn list_within(
    pool: &PgPool,
    filter: &OrderFilter,
    scan: i64,
) -> Result<Page, sqlx::Error> {
    let after = filter.after.map_or(Uuid::nil(), OrderId::as_uuid);
    let scan_end = last_of_scan(pool, after, scan).await?;
    let is_final = |status: &OrderStatus| status.is_final();
    let final_statuses = OrderStatus::ALL.into_iter().filter(is_final);
    let final_statuses: Vec<_> = final_statuses.map(OrderStatus::name).collect();
    let mut query = filter.query();
    query
        .push(concat!(" AND ", waiting_over_60s!(), " AND status <> ALL("))
        .push_bind(final_statuses)
        .push(") AND order_id > ")
        .push_bind(after);
    if let Some(end) = scan_end {
        query.push(" AND order_id <= ").push_bind(end);
    }
    query.push(" ORDER BY order_id LIMIT ");
    let mut page = filter.page(pool, query).await?;
    page.next = page.next.or_else(|| scan_end.map(OrderId::from));
    Ok(page)
}

/// The last of the `scan` orders after this one; `None` if there are fewer. It reads only the
/// primary key.
async fn last_of_scan(pool: &PgPool, after: Uuid, scan: i64) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT order_id FROM orders WHERE order_id > $1 ORDER BY order_id OFFSET $2 LIMIT 1",
    )
    .bind(after)
    .bind(scan - 1)
    .fetch_optional(pool)
    .await
}
