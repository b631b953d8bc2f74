//! The orders in PostgreSQL.
//!
//! One statement writes orders, for HTTP requests and for Kafka records: the upsert. It adds facts
//! and never removes one. So it may run twice, in any order, and from several instances at once.

pub mod stuck_orders;

use shared_events::http_api::OrderStatus;
use shared_events::{Amount, CorrelationId, CustomerId, OrderId, PaymentId, ProductId, Quantity};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use crate::domain::{Facts, Order, SagaOutcome};

/// The `WHERE` of the update makes a repetition free: without a new fact no new version of the row
/// is written.
macro_rules! upsert {
    () => {
        "
INSERT INTO orders (order_id, customer_id, product_id, quantity, amount, correlation_id, payment_id, failure_reason,
                    created_at, paid_at, payment_failed_at, reserved_at, out_of_stock_at, refunded_at)
SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::int[], $5::numeric[], $6::text[], $7::uuid[], $8::text[],
                     $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
                     $14::timestamptz[])
ON CONFLICT (order_id) DO UPDATE SET
    customer_id       = COALESCE(orders.customer_id, excluded.customer_id),
    product_id        = COALESCE(orders.product_id, excluded.product_id),
    quantity          = COALESCE(orders.quantity, excluded.quantity),
    amount            = COALESCE(orders.amount, excluded.amount),
    correlation_id    = COALESCE(orders.correlation_id, excluded.correlation_id),
    payment_id        = COALESCE(orders.payment_id, excluded.payment_id),
    failure_reason    = COALESCE(orders.failure_reason, excluded.failure_reason),
    created_at        = COALESCE(orders.created_at, excluded.created_at),
    paid_at           = COALESCE(orders.paid_at, excluded.paid_at),
    payment_failed_at = COALESCE(orders.payment_failed_at, excluded.payment_failed_at),
    reserved_at       = COALESCE(orders.reserved_at, excluded.reserved_at),
    out_of_stock_at   = COALESCE(orders.out_of_stock_at, excluded.out_of_stock_at),
    refunded_at       = COALESCE(orders.refunded_at, excluded.refunded_at)
WHERE (excluded.created_at IS NOT NULL AND orders.created_at IS NULL)
   OR (excluded.paid_at IS NOT NULL AND orders.paid_at IS NULL)
   OR (excluded.payment_failed_at IS NOT NULL AND orders.payment_failed_at IS NULL)
   OR (excluded.reserved_at IS NOT NULL AND orders.reserved_at IS NULL)
   OR (excluded.out_of_stock_at IS NOT NULL AND orders.out_of_stock_at IS NULL)
   OR (excluded.refunded_at IS NOT NULL AND orders.refunded_at IS NULL)"
    };
}

/// Returns the written rows whose saga has ended: first the facts after the write, then those
/// before it. The join reads the facts before, because a statement sees the table as it was when
/// the statement began.
const UPSERT_RETURNING_COMPLETED: &str = concat!(
    "WITH written AS (",
    upsert!(),
    "
    RETURNING order_id, created_at, paid_at, payment_failed_at, reserved_at, out_of_stock_at, refunded_at)
SELECT written.*, before.created_at, before.paid_at, before.payment_failed_at, before.reserved_at, before.out_of_stock_at,
       before.refunded_at
FROM written LEFT JOIN orders AS before USING (order_id)
WHERE written.created_at IS NOT NULL
  AND COALESCE(written.refunded_at, written.payment_failed_at, written.reserved_at) IS NOT NULL"
);

/// Adds facts to orders, and inserts the orders that are new. `orders` must hold each order once
/// and be sorted by id: two instances that write the same orders then lock them in the same order
/// and cannot deadlock.
pub async fn upsert(executor: impl PgExecutor<'_>, orders: &[Order]) -> Result<(), sqlx::Error> {
    upsert_query(upsert!(), orders).execute(executor).await?;
    Ok(())
}

/// As [`upsert`], and returns the sagas that these facts have completed. A repeated fact completes
/// none, so each saga is returned once. The exception: two instances that write different facts of
/// one order at the same moment may both return it.
pub async fn upsert_returning_completed(
    executor: impl PgExecutor<'_>,
    orders: &[Order],
) -> Result<Vec<SagaOutcome>, sqlx::Error> {
    let query = upsert_query(UPSERT_RETURNING_COMPLETED, orders);
    let rows = query.fetch_all(executor).await?;
    let mut completed = Vec::with_capacity(rows.len());
    for row in rows {
        let id = OrderId::from(row.try_get::<Uuid, _>(0)?);
        let index = orders.binary_search_by_key(&id, |order| order.order_id);
        let Some(added) = index.ok().and_then(|index| orders.get(index)) else {
            continue;
        };
        let (after, before) = (facts_from_column(&row, 1)?, facts_from_column(&row, 7)?);
        completed.extend(after.completed_by(&added.facts, &before));
    }
    Ok(completed)
}

fn upsert_query<'q>(sql: &'static str, orders: &'q [Order]) -> Query<'q, Postgres, PgArguments> {
    fn column<'a, T>(orders: &'a [Order], field: impl Fn(&'a Order) -> T) -> Vec<T> {
        orders.iter().map(field).collect()
    }
    sqlx::query(sql)
        .bind(column(orders, |order| order.order_id.as_uuid()))
        .bind(column(orders, |order| {
            order.customer_id.as_ref().map(CustomerId::as_str)
        }))
        .bind(column(orders, |order| {
            order.product_id.as_ref().map(ProductId::as_str)
        }))
        .bind(column(orders, |order| order.quantity.map(Quantity::as_i32)))
        .bind(column(orders, |order| order.amount.map(Amount::as_decimal)))
        .bind(column(orders, |order| {
            order.correlation_id.as_ref().map(CorrelationId::as_str)
        }))
        .bind(column(orders, |order| {
            order.payment_id.map(PaymentId::as_uuid)
        }))
        .bind(column(orders, |order| order.failure_reason.as_deref()))
        .bind(column(orders, |order| order.facts.created))
        .bind(column(orders, |order| order.facts.paid))
        .bind(column(orders, |order| order.facts.payment_failed))
        .bind(column(orders, |order| order.facts.reserved))
        .bind(column(orders, |order| order.facts.out_of_stock))
        .bind(column(orders, |order| order.facts.refunded))
}

/// `None` if no fact of this order is known.
pub async fn find(pool: &PgPool, order: OrderId) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM orders WHERE order_id = $1")
        .bind(order.as_uuid())
        .fetch_optional(pool)
        .await
}

/// Which orders [`list`] and [`stuck_orders::list`] return.
#[derive(Debug, Default)]
pub struct OrderFilter {
    pub status: Option<OrderStatus>,
    pub customer: Option<CustomerId>,
    /// Only orders after this one, the last of the page before.
    pub after: Option<OrderId>,
    /// Most orders of a page.
    pub limit: u32,
}

/// A page of orders.
#[derive(Debug)]
pub struct Page {
    pub orders: Vec<Order>,
    /// The order after which the next page begins; `None` on the last page.
    pub next: Option<OrderId>,
}

/// A page of orders, the newest first: order ids begin with the time.
pub async fn list(pool: &PgPool, filter: &OrderFilter) -> Result<Page, sqlx::Error> {
    let mut query = filter.query();
    if let Some(after) = filter.after {
        query.push(" AND order_id < ").push_bind(after.as_uuid());
    }
    query.push(" ORDER BY order_id DESC LIMIT ");
    filter.page(pool, query).await
}

impl OrderFilter {
    /// The beginning of a query, with all conditions but `after`.
    fn query(&self) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("SELECT * FROM orders WHERE true");
        if let Some(status) = self.status {
            query.push(" AND status = ").push_bind(status.name());
        }
        if let Some(customer) = &self.customer {
            query
                .push(" AND customer_id = ")
                .push_bind(customer.as_str());
        }
        query
    }

    /// Runs a query that ends with `LIMIT`.
    async fn page(
        &self,
        pool: &PgPool,
        mut query: QueryBuilder<Postgres>,
    ) -> Result<Page, sqlx::Error> {
        // One order more than the page shows whether there is another page.
        query.push_bind(i64::from(self.limit) + 1);
        let mut orders: Vec<Order> = query.build_query_as().fetch_all(pool).await?;
        let has_more = orders.len() > self.limit as usize;
        orders.truncate(self.limit as usize);
        let last = orders.last().map(|order| order.order_id);
        Ok(Page {
            orders,
            next: last.filter(|_| has_more),
        })
    }
}

impl FromRow<'_, PgRow> for Order {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let text = |column| row.try_get::<Option<String>, _>(column);
        let quantity = row
            .try_get::<Option<i32>, _>("quantity")?
            .map(u32::try_from)
            .transpose();
        Ok(Self {
            order_id: OrderId::from(row.try_get::<Uuid, _>("order_id")?),
            facts: facts(row)?,
            customer_id: text("customer_id")?
                .map(CustomerId::new)
                .transpose()
                .map_err(invalid_row)?,
            product_id: text("product_id")?
                .map(ProductId::new)
                .transpose()
                .map_err(invalid_row)?,
            quantity: quantity
                .map_err(invalid_row)?
                .map(Quantity::new)
                .transpose()
                .map_err(invalid_row)?,
            amount: row
                .try_get::<Option<_>, _>("amount")?
                .map(Amount::new)
                .transpose()
                .map_err(invalid_row)?,
            correlation_id: text("correlation_id")?
                .map(CorrelationId::new)
                .transpose()
                .map_err(invalid_row)?,
            payment_id: row
                .try_get::<Option<Uuid>, _>("payment_id")?
                .map(PaymentId::from),
            failure_reason: text("failure_reason")?,
        })
    }
}

/// The facts of a row, by the columns' names.
pub(crate) fn facts(row: &PgRow) -> Result<Facts, sqlx::Error> {
    Ok(Facts {
        created: row.try_get("created_at")?,
        paid: row.try_get("paid_at")?,
        payment_failed: row.try_get("payment_failed_at")?,
        reserved: row.try_get("reserved_at")?,
        out_of_stock: row.try_get("out_of_stock_at")?,
        refunded: row.try_get("refunded_at")?,
    })
}

/// The facts of a row in six columns that begin at `first`, in the order of the table.
fn facts_from_column(row: &PgRow, first: usize) -> Result<Facts, sqlx::Error> {
    Ok(Facts {
        created: row.try_get(first)?,
        paid: row.try_get(first + 1)?,
        payment_failed: row.try_get(first + 2)?,
        reserved: row.try_get(first + 3)?,
        out_of_stock: row.try_get(first + 4)?,
        refunded: row.try_get(first + 5)?,
    })
}

/// The error for a row that this service cannot have written.
pub(crate) fn invalid_row(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
