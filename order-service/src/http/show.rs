//! `GET /orders/{id}`

use axum::Json;
use axum::extract::{Path, State};
use service_kit::Problem;

use super::view::OrderView;
use super::{Shop, order_id, unavailable};
use crate::store;

/// One order: 200 with all that is known of it, or 404.
pub(super) async fn show(
    State(shop): State<Shop>,
    Path(id): Path<String>,
) -> Result<Json<OrderView>, Problem> {
    let found = store::find(&shop.pool, order_id(&id)?)
        .await
        .map_err(unavailable)?;
    let order = found.ok_or_else(|| Problem::not_found(format!("no order {id}")))?;
    Ok(Json(order.into()))
}
