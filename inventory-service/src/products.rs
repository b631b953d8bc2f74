//! The stock as a person sees and sets it.

use serde::Serialize;
use shared_events::ProductId;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};

use crate::domain::StockLevel;
use crate::store::decode;

/// A product and how many pieces of it are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// The product.
    pub product_id: ProductId,
    /// Its pieces.
    pub quantity: StockLevel,
}

/// What setting a stock level did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stocked {
    /// There was no such product before.
    Created,
    /// The level it had is replaced.
    Replaced,
}

/// At most `limit` products in the order of their ids, those after `after`.
pub async fn list(
    pool: &PgPool,
    after: Option<&ProductId>,
    limit: u32,
) -> Result<Vec<Product>, sqlx::Error> {
    // Every id sorts after the empty text.
    sqlx::query_as(
        "SELECT product_id, quantity FROM products WHERE product_id > $1 ORDER BY product_id LIMIT $2",
    )
    .bind(after.map_or("", ProductId::as_str))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}

/// The product, if there is one.
pub async fn find(pool: &PgPool, product: &ProductId) -> Result<Option<Product>, sqlx::Error> {
    sqlx::query_as("SELECT product_id, quantity FROM products WHERE product_id = $1")
        .bind(product.as_str())
        .fetch_optional(pool)
        .await
}

/// Sets a stock level, and makes the product if need be. It waits for a batch that has the product under lock, so what that
/// batch takes is taken from the old level.
pub async fn stock(
    pool: &PgPool,
    product: &ProductId,
    level: StockLevel,
) -> Result<Stocked, sqlx::Error> {
    // Products are never removed: what the first statement finds there, the second finds too.
    let created = sqlx::query(
        "INSERT INTO products (product_id, quantity) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(product.as_str())
    .bind(level.as_i32())
    .execute(pool)
    .await?;
    if created.rows_affected() == 1 {
        return Ok(Stocked::Created);
    }
    sqlx::query("UPDATE products SET quantity = $2 WHERE product_id = $1")
        .bind(product.as_str())
        .bind(level.as_i32())
        .execute(pool)
        .await?;
    Ok(Stocked::Replaced)
}

impl FromRow<'_, PgRow> for Product {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let quantity = u32::try_from(row.try_get::<i32, _>("quantity")?).map_err(decode)?;
        Ok(Self {
            product_id: ProductId::new(row.try_get::<String, _>("product_id")?).map_err(decode)?,
            quantity: StockLevel::new(quantity).map_err(decode)?,
        })
    }
}
