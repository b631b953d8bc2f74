//! Looking at the stock, and restocking. For people: no service asks another.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use service_kit::Problem;
use service_kit::body::Fields;
use service_kit::problem::FieldError;
use shared_events::ProductId;
use sqlx::PgPool;

use crate::domain::StockLevel;
use crate::products::{self, Product, Stocked};

/// Products in one answer of the list.
const PAGE: u32 = 100;

/// When to try again while the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `GET /products`, `GET /products/{id}`, and `PUT /products/{id}` with `{"quantity": n}`, which restocks a product or makes
/// a new one.
pub fn router(pool: PgPool) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{product_id}", get(show).put(restock))
        .with_state(pool)
}

#[derive(Serialize)]
struct Page {
    products: Vec<Product>,
    /// What to ask for as `after`, if there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<ProductId>,
}

async fn list(
    State(pool): State<PgPool>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Result<Json<Page>, Problem> {
    let after = after(parameters)?;
    let products = products::list(&pool, after.as_ref(), PAGE)
        .await
        .map_err(away)?;
    let full = products.len() == PAGE as usize;
    let last = products.last().map(|product| product.product_id.clone());
    Ok(Json(Page {
        products,
        next: last.filter(|_| full),
    }))
}

async fn show(
    State(pool): State<PgPool>,
    Path(product_id): Path<String>,
) -> Result<Json<Product>, Problem> {
    let product_id = valid("productId", product_id)?;
    match products::find(&pool, &product_id).await.map_err(away)? {
        Some(product) => Ok(Json(product)),
        None => Err(Problem::not_found(format!("no product {product_id}"))),
    }
}

async fn restock(
    State(pool): State<PgPool>,
    Path(product_id): Path<String>,
    mut fields: Fields,
) -> Result<(StatusCode, Json<Product>), Problem> {
    let product_id = valid("productId", product_id)?;
    let quantity: Option<StockLevel> = fields.take("quantity");
    let quantity = fields.finish(quantity)?;
    let status = match products::stock(&pool, &product_id, quantity)
        .await
        .map_err(away)?
    {
        Stocked::Created => StatusCode::CREATED,
        Stocked::Replaced => StatusCode::OK,
    };
    Ok((
        status,
        Json(Product {
            product_id,
            quantity,
        }),
    ))
}

fn after(mut parameters: BTreeMap<String, String>) -> Result<Option<ProductId>, Problem> {
    let after = parameters.remove("after");
    if let Some((unknown, _)) = parameters.pop_first() {
        let error = FieldError::new(unknown, "is not a parameter of this request");
        return Err(Problem::invalid(vec![error]));
    }
    after.map(|after| valid("after", after)).transpose()
}

fn valid(field: &str, product_id: String) -> Result<ProductId, Problem> {
    ProductId::new(product_id)
        .map_err(|limit| Problem::invalid(vec![FieldError::new(field, limit.to_string())]))
}

/// The database did not do it: away, starting, or a batch holds the product under lock. All pass.
fn away(error: sqlx::Error) -> Problem {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "no answer from the database"
    );
    Problem::unavailable("the stock cannot be reached right now", RETRY_AFTER)
}
