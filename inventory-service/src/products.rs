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
/// lock, this waits for it: what that batch takes is taken from the old level.
pub async fn set_stock(
    pool: &PgPool,
    product: &ProductId,
    level: StockLevel,
) -> Result<StockChange, sqlx::Error> {
    // Products are never deleted, so a product that the insert finds is still there for the update.
    let created = sqlx::query(
        "INSERT INTO products (product_id, quantity) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(product.as_str())
    .bind(level.as_i32())
    .execute(pool)
    .await?;
    if created.rows_affected() == 1 {
        return Ok(StockChange::Created);
    }
    sqlx::query("UPDATE products SET quantity = $2 WHERE product_id = $1")
        .bind(product.as_str())
        .bind(level.as_i32())
        .execute(pool)
        .await?;
    Ok(StockChange::Replaced)
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
