//! `GET /orders` and `GET /orders/{id}`

use axum::Json;
use axum::extract::State;
use service_kit::query_params::QueryParams;
use service_kit::{BoundedInt, Problem};
use shared_events::http_api::{OrderPage, OrderView};

use super::{ApiState, PathOrderId, not_found, unavailable};
use crate::store::{self, OrderFilter};

/// Orders of a page without the parameter `limit`.
const DEFAULT_LIMIT: u32 = 50;

/// The largest `limit`.
const MAX_LIMIT: u64 = 200;

/// Orders, the newest first. Parameters: `status`, `customerId`, `limit`, and `after` (the `next`
/// of the page before).
pub(super) async fn list(
    State(state): State<ApiState>,
    mut parameters: QueryParams,
) -> Result<Json<OrderPage>, Problem> {
    let status = parameters.take("status");
    let customer = parameters.take("customerId");
    let after = parameters.take("after");
    let limit = parameters
        .take::<BoundedInt<1, MAX_LIMIT>>("limit")
        .map_or(DEFAULT_LIMIT, BoundedInt::get_u32);
    parameters.finish()?;
    // One order more than the page shows whether there is another page.
    let filter = OrderFilter {
        status,
        customer,
        after,
        limit: i64::from(limit) + 1,
    };
    let mut orders = store::list(&state.pool, &filter)
        .await
        .map_err(unavailable)?;
    let has_more = orders.len() > limit as usize;
    orders.truncate(limit as usize);
    let last = orders.last().map(|order| order.order_id);
    Ok(Json(OrderPage {
        orders: orders.into_iter().map(OrderView::from).collect(),
        next: last.filter(|_| has_more),
    }))
}

/// One order: 200 with all that is known of it, or 404.
pub(super) async fn show(
    State(state): State<ApiState>,
    PathOrderId(id): PathOrderId,
) -> Result<Json<OrderView>, Problem> {
    let found = store::find(&state.pool, id).await.map_err(unavailable)?;
    let order = found.ok_or_else(|| not_found(id))?;
    Ok(Json(order.into()))
}
