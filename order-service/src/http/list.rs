//! `GET /orders`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service_kit::Problem;
use service_kit::parameters::{Parameters, Within};
use shared_events::OrderId;

use super::view::OrderView;
use super::{Shop, unavailable};
use crate::store::{self, Listing};

/// Orders of a page, unless asked otherwise.
const PAGE: u32 = 50;

/// Most orders of a page.
const MOST: u32 = 200;

#[derive(Serialize)]
pub(super) struct Page {
    orders: Vec<OrderView>,
    /// What `after` must be for the next page; null if there is none.
    next: Option<OrderId>,
}

/// Orders, the newest first, by `status`, `customerId`, `limit` and `after`.
pub(super) async fn list(
    State(shop): State<Shop>,
    mut parameters: Parameters,
) -> Result<Json<Page>, Problem> {
    let status = parameters.take("status");
    let customer = parameters.take("customerId");
    let after = parameters.take("after");
    let limit = parameters
        .take::<Within<1, MOST>>("limit")
        .map_or(PAGE, |Within(limit)| limit);
    parameters.finish()?;
    // One more than asked for says whether there is another page.
    let listing = Listing {
        status,
        customer,
        after,
        limit: i64::from(limit) + 1,
    };
    let mut orders = store::list(&shop.pool, &listing)
        .await
        .map_err(unavailable)?;
    let more = orders.len() > limit as usize;
    orders.truncate(limit as usize);
    let next = orders.last().filter(|_| more).map(|order| order.order_id);
    Ok(Json(Page {
        orders: orders.into_iter().map(OrderView::from).collect(),
        next,
    }))
}
