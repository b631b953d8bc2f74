//! The HTTP API: reading and setting the stock. It is for people and tools; no service calls
//! another over HTTP.

use std::time::Duration;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use service_kit::Problem;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use service_kit::query_params::QueryParams;
use shared_events::ProductId;
use sqlx::PgPool;

use crate::domain::StockLevel;
use crate::products::{self, Product, StockChange};

/// Products of a page.
const PAGE: u32 = 100;

/// `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `GET /products`, `GET /products/{id}`, and `PUT /products/{id}` with `{"quantity": n}`, which
/// sets the stock of a product or creates the product.
pub fn router(pool: PgPool) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{product_id}", get(show).put(set_stock))
        .with_state(pool)
}

#[derive(Serialize)]
struct ProductPage {
    products: Vec<Product>,
    /// The parameter `after` of the next page, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<ProductId>,
}

async fn list(
    State(pool): State<PgPool>,
    mut parameters: QueryParams,
) -> Result<Json<ProductPage>, Problem> {
    let after: Option<ProductId> = parameters.take("after");
    parameters.finish()?;
    let products = products::list(&pool, after.as_ref(), PAGE)
        .await
        .map_err(unavailable)?;
    let full = products.len() == PAGE as usize;
    let last = products.last().map(|product| product.product_id.clone());
    Ok(Json(ProductPage {
        products,
        next: last.filter(|_| full),
    }))
}

async fn show(
    State(pool): State<PgPool>,
    PathProductId(product_id): PathProductId,
) -> Result<Json<Product>, Problem> {
    match products::find(&pool, &product_id)
        .await
        .map_err(unavailable)?
    {
        Some(product) => Ok(Json(product)),
        None => Err(Problem::not_found(format!("no product {product_id}"))),
    }
}

async fn set_stock(
    State(pool): State<PgPool>,
    PathProductId(product_id): PathProductId,
    mut fields: JsonFields,
) -> Result<(StatusCode, Json<Product>), Problem> {
    let quantity: Option<StockLevel> = fields.take("quantity");
    let quantity = fields.finish(quantity)?;
    let status = match products::set_stock(&pool, &product_id, quantity)
        .await
        .map_err(unavailable)?
    {
        StockChange::Created => StatusCode::CREATED,
        StockChange::Replaced => StatusCode::OK,
    };
    Ok((
        status,
        Json(Product {
            product_id,
            quantity,
        }),
    ))
}

/// The product id in the path.
struct PathProductId(ProductId);

impl<S: Send + Sync> FromRequestParts<S> for PathProductId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // A path that is not UTF-8 becomes the empty text, which is no product id.
        let name = Path::<String>::from_request_parts(parts, state).await;
        let name = name.map_or_else(|_| String::new(), |Path(name)| name);
        ProductId::new(name).map(Self).map_err(|limit| {
            Problem::invalid(vec![FieldError::new("productId", limit.to_string())])
        })
    }
}

/// Logs a database error, and answers 503 without its cause. The database is down, or a batch holds
/// the product's lock too long.
fn unavailable(error: sqlx::Error) -> Problem {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "the stock could not be read or set"
    );
    Problem::unavailable("the stock cannot be reached right now", RETRY_AFTER)
}
