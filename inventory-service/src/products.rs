//! Reading and setting stock levels, for the API.

use serde::Serialize;
use shared_events::ProductId;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};

use crate::domain::StockLevel;
use crate::store::invalid_row;

/// A product in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    pub product_id: ProductId,
    /// Pieces in stock.
    pub quantity: StockLevel,
}

/// The result of [`set_stock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockChange {
    /// The product is new.
    Created,
    /// The product existed, and its level was replaced.
    Replaced,
}

/// At most `limit` products, sorted by id, beginning after `after`.
pub async fn list(
    pool: &PgPool,
    after: Option<&ProductId>,
    limit: u32,
) -> Result<Vec<Product>, sqlx::Error> {
    // The empty text sorts before every id.
    sqlx::query_as(
        "SELECT product_id, quantity FROM products WHERE product_id > $1 ORDER BY product_id LIMIT $2",
    )
    .bind(after.map_or("", ProductId::as_str))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}

pub async fn find(pool: &PgPool, product: &ProductId) -> Result<Option<Product>, sqlx::Error> {
    sqlx::query_as("SELECT product_id, quantity FROM products WHERE product_id = $1")
        .bind(product.as_str())
        .fetch_optional(pool)
        .await
}

/// Sets a stock level, and creates the product if it is unknown. If a batch holds the product's
/// lock, this waits for it: what that batch takes is taken from the old level. The change is
/// recorded in the same transaction, so that levels, changes and reservations add up at any moment.
pub async fn set_stock(
    pool: &PgPool,
    product: &ProductId,
    level: StockLevel,
) -> Result<StockChange, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Products are never deleted, so a product that the insert finds is still there afterwards.
    let created = sqlx::query(
        "INSERT INTO products (product_id, quantity) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(product.as_str())
    .bind(level.as_i32())
    .execute(&mut *transaction)
    .await?;
    let (result, before) = if created.rows_affected() == 1 {
        (StockChange::Created, 0)
    } else {
        // Locks the row, so that no batch takes pieces between this statement and the update.
        let before: i32 = sqlx::query_scalar(
            "SELECT quantity FROM products WHERE product_id = $1 FOR NO KEY UPDATE",
        )
        .bind(product.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query("UPDATE products SET quantity = $2 WHERE product_id = $1")
            .bind(product.as_str())
            .bind(level.as_i32())
            .execute(&mut *transaction)
            .await?;
        (StockChange::Replaced, before)
    };
    sqlx::query("INSERT INTO stock_changes (product_id, change) VALUES ($1, $2)")
        .bind(product.as_str())
        .bind(i64::from(level.as_i32()) - i64::from(before))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(result)
}

impl FromRow<'_, PgRow> for Product {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let quantity = u32::try_from(row.try_get::<i32, _>("quantity")?).map_err(invalid_row)?;
        Ok(Self {
            product_id: ProductId::new(row.try_get::<String, _>("product_id")?)
                .map_err(invalid_row)?,
            quantity: StockLevel::new(quantity).map_err(invalid_row)?,
        })
    }
}
