//! `GET /orders` and `GET /orders/{id}`

use axum::Json;
use axum::extract::State;
use service_kit::query_params::{Flag, QueryParams};
use service_kit::{BoundedInt, Problem};
use shared_events::http_api::{OrderPage, OrderView};

use super::{ApiState, PathOrderId, not_found, unavailable};
use crate::store::{self, OrderFilter, stuck_orders};

/// Orders of a page without the parameter `limit`.
const DEFAULT_LIMIT: u32 = 50;

/// The largest `limit`.
const MAX_LIMIT: u64 = 200;

/// Orders, the newest first; with `stuck=true` only those whose saga has stopped (see
/// [`stuck_orders`]), the oldest first. Further parameters: `status`, `customerId`, `limit`, and
/// `after` (the `next` of the page before).
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
    let stuck = parameters
        .take::<Flag>("stuck")
        .is_some_and(|Flag(stuck)| stuck);
    parameters.finish()?;
    let filter = OrderFilter {
        status,
        customer,
        after,
        limit,
    };
    let page = match stuck {
        true => stuck_orders::list(&state.pool, &filter).await,
        false => store::list(&state.pool, &filter).await,
    };
    let page = page.map_err(unavailable)?;
    Ok(Json(OrderPage {
        orders: page.orders.into_iter().map(OrderView::from).collect(),
        next: page.next,
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
