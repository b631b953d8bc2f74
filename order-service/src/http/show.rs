//! `GET /orders/{id}`

use axum::Json;
use axum::extract::State;
use service_kit::Problem;

use super::view::OrderView;
use super::{Named, Shop, unavailable, unknown};
use crate::store;

/// One order: 200 with all that is known of it, or 404.
pub(super) async fn show(
    State(shop): State<Shop>,
    Named(id): Named,
) -> Result<Json<OrderView>, Problem> {
    let found = store::find(&shop.pool, id).await.map_err(unavailable)?;
    let order = found.ok_or_else(|| unknown(id))?;
    Ok(Json(order.into()))
}
