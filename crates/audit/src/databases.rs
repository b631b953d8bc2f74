//! Reads both databases, each as it was at one moment.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use shared_events::{OrderId, PaymentId};
use sqlx::postgres::PgRow;
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use crate::item::{Decision, Fact, Goods, Item, OrderRow, Status, Subject, hash};
use crate::other_rules::{Outbox, ProductStock};

/// The context of an error.
pub(crate) const ORDERS_DATABASE: &str = "cannot read the database of order-service";

/// The context of an error.
pub(crate) const INVENTORY_DATABASE: &str = "cannot read the database of inventory-service";

/// The longest that a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The bits are those of `EventType::ALL`.
const ORDERS: &str = "
SELECT order_id, product_id, quantity, (amount * 100)::bigint, payment_id, status,
       (created_at IS NOT NULL)::int + 2 * (paid_at IS NOT NULL)::int + 4 * (payment_failed_at IS NOT NULL)::int
       + 8 * (reserved_at IS NOT NULL)::int + 16 * (out_of_stock_at IS NOT NULL)::int + 32 * (refunded_at IS NOT NULL)::int
FROM orders WHERE order_id >= $1";

const OUTBOX: &str = "SELECT key FROM outbox";

const OUTBOX_AGE: &str = "
SELECT count(*), COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(created_at)), 0)::float8 FROM outbox";

const DECISIONS: &str =
    "SELECT order_id, product_id, quantity, outcome FROM decisions WHERE order_id >= $1";

const STOCK: &str = "
SELECT product_id, COALESCE(given, 0)::bigint, COALESCE(reserved, 0)::bigint, COALESCE(products.quantity, 0)::bigint
FROM products
FULL JOIN (SELECT product_id, sum(change) AS given FROM stock_changes GROUP BY product_id) AS changed USING (product_id)
FULL JOIN (SELECT product_id, sum(quantity) AS reserved FROM decisions WHERE outcome = 'reserved' GROUP BY product_id)
    AS taken USING (product_id)";

/// A database as it was when it was opened.
pub(crate) struct DatabaseSnapshot {
    connection: PgConnection,
}

impl DatabaseSnapshot {
    /// Connects, and takes the snapshot: the first query of the transaction does that, all others see the same state.
    pub async fn open(url: &str) -> Result<Self> {
        let mut connection = connect(url).await?;
        connection
            .execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        connection.execute("SELECT 1").await?;
        Ok(Self { connection })
    }

    /// Passes the rows of order-service's database: orders with this id or a greater one, and the outbox.
    pub async fn read_orders(
        &mut self,
        first: Uuid,
        mut on_item: impl FnMut(Item),
    ) -> Result<Outbox> {
        let mut rows = sqlx::query(ORDERS).bind(first).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            on_item(order_item(&row)?);
        }
        drop(rows);
        let mut keys = sqlx::query_scalar::<_, String>(OUTBOX).fetch(&mut self.connection);
        while let Some(key) = keys.try_next().await? {
            let order = key.parse::<OrderId>().ok();
            if let Some(order) = order.filter(|id| id.as_uuid() >= first) {
                on_item(Item {
                    subject: Subject::order(order),
                    fact: Fact::Outbox,
                });
            }
        }
        drop(keys);
        let age = sqlx::query_as(OUTBOX_AGE).fetch_one(&mut self.connection);
        let (rows, oldest_seconds): (i64, f64) = age.await?;
        Ok(Outbox {
            rows: u64::try_from(rows).unwrap_or_default(),
            oldest_seconds,
        })
    }

    /// Passes the rows of inventory-service's database: decisions about orders with this id or a greater one, and the stock of
    /// every product.
    pub async fn read_inventory(
        &mut self,
        first: Uuid,
        mut on_item: impl FnMut(Item),
        mut on_product: impl FnMut(ProductStock),
    ) -> Result<()> {
        let mut rows = sqlx::query(DECISIONS)
            .bind(first)
            .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            on_item(decision_item(&row)?);
        }
        drop(rows);
        let mut rows = sqlx::query(STOCK).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            on_product(ProductStock {
                product: row.try_get(0)?,
                given: row.try_get(1)?,
                reserved: row.try_get(2)?,
                now: row.try_get(3)?,
            });
        }
        Ok(())
    }
}

/// The number of rows in the outbox.
pub(crate) async fn outbox_rows(url: &str) -> Result<i64> {
    let mut connection = connect(url).await?;
    let rows = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&mut connection);
    Ok(rows.await?)
}

async fn connect(url: &str) -> Result<PgConnection> {
    let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect(url)).await;
    Ok(connected.context("PostgreSQL does not answer")??)
}

fn order_item(row: &PgRow) -> Result<Item, sqlx::Error> {
    let order = OrderId::from(row.try_get::<Uuid, _>(0)?);
    let (product, quantity): (Option<String>, Option<i32>) = (row.try_get(1)?, row.try_get(2)?);
    let cents: Option<i64> = row.try_get(3)?;
    let payment: Option<Uuid> = row.try_get(4)?;
    let facts: i32 = row.try_get(6)?;
    let ordered = product.zip(quantity).zip(cents);
    let ordered = ordered.map(|((product, quantity), cents)| {
        let cents = u32::try_from(cents).unwrap_or(u32::MAX);
        (goods(&product, quantity), cents)
    });
    Ok(Item {
        subject: Subject::order(order),
        fact: Fact::Row(OrderRow {
            facts: u8::try_from(facts).unwrap_or_default(),
            status: status(row.try_get(5)?),
            ordered,
            payment_ok: payment.is_none_or(|id| id == PaymentId::of(order).as_uuid()),
        }),
    })
}

fn decision_item(row: &PgRow) -> Result<Item, sqlx::Error> {
    let product: &str = row.try_get(1)?;
    let outcome: &str = row.try_get(3)?;
    Ok(Item {
        subject: Subject::order(OrderId::from(row.try_get::<Uuid, _>(0)?)),
        fact: Fact::Decision(Decision {
            reserved: outcome == "reserved",
            goods: goods(product, row.try_get(2)?),
        }),
    })
}

fn goods(product: &str, quantity: i32) -> Goods {
    Goods {
        product: hash(product),
        quantity: u16::try_from(quantity).unwrap_or(u16::MAX),
    }
}

fn status(text: &str) -> Status {
    match text {
        "PENDING" => Status::Pending,
        "PAID" => Status::Paid,
        "REFUNDING" => Status::Refunding,
        "CONFIRMED" => Status::Confirmed,
        "CANCELLED" => Status::Cancelled,
        "FAILED" => Status::Failed,
        _ => Status::Unknown,
    }
}
