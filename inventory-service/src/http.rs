//! Looking at the stock, and restocking. For people: no service asks another.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
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
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(parameters) =
        query.map_err(|_| Problem::bad_request("the query of the URL cannot be read"))?;
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
    Named(product_id): Named,
) -> Result<Json<Product>, Problem> {
    match products::find(&pool, &product_id).await.map_err(away)? {
        Some(product) => Ok(Json(product)),
        None => Err(Problem::not_found(format!("no product {product_id}"))),
    }
}

async fn restock(
    State(pool): State<PgPool>,
    Named(product_id): Named,
    mut fields: Fields,
) -> Result<(StatusCode, Json<Product>), Problem> {
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

/// The product that the path names.
struct Named(ProductId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What is not UTF-8 is no id either.
        let name = Path::<String>::from_request_parts(parts, state).await;
        let name = name.map_or_else(|_| String::new(), |Path(name)| name);
        valid("productId", name).map(Self)
    }
}

fn after(parameters: Vec<(String, String)>) -> Result<Option<ProductId>, Problem> {
    let mut after = None;
    for (name, value) in parameters {
        if name != "after" || after.is_some() {
            let detail = "is not a parameter of this request, which has after, once";
            return Err(Problem::invalid(vec![FieldError::new(name, detail)]));
        }
        after = Some(valid("after", value)?);
    }
    Ok(after)
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
