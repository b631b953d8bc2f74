//! The API: what a client can ask of the shop.

mod list;
mod place;
mod show;
mod stream;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::routing::get;
use service_kit::Problem;
use service_kit::trace::Tracer;
use shared_events::OrderId;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::acceptance::Door;
use crate::metrics::Metrics;

/// After how long to ask again when the database is away or too much is waiting.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most streams at once: each asks the database five times a second.
const STREAMS: usize = 256;

/// What the handlers share.
#[derive(Clone)]
pub struct Shop {
    /// Where requests for orders go.
    pub door: Door,
    /// Where orders are read.
    pub pool: PgPool,
    /// What is counted.
    pub metrics: Metrics,
    /// Where spans go.
    pub tracer: Tracer,
    /// When streams must end.
    pub shutdown: CancellationToken,
}

/// What the handlers of streams share beside it.
#[derive(Clone)]
struct Streams(Arc<Semaphore>);

/// The routes of the shop.
pub fn router(shop: Shop) -> Router {
    let streams = Streams(Arc::new(Semaphore::new(STREAMS)));
    Router::new()
        .route("/orders", get(list::list).post(place::place))
        .route("/orders/{id}", get(show::show))
        .route(
            "/orders/{id}/events",
            get(move |shop, id, parameters| stream::stream(shop, id, parameters, streams)),
        )
        .with_state(shop)
}

/// The order that a path names.
struct Named(OrderId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    /// What is no order's id names no order.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let limit = OrderId::LIMIT;
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(id)| id.parse().ok());
        id.map(Self)
            .ok_or_else(|| Problem::not_found(format!("no such order: an order's id {limit}")))
    }
}

/// An order of which nothing is known.
fn unknown(order: OrderId) -> Problem {
    Problem::not_found(format!("no order {order}"))
}

/// An error of the database, logged here since its answer does not tell it.
fn unavailable(error: sqlx::Error) -> Problem {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "an order could not be read"
    );
    Problem::unavailable("the orders cannot be read now", RETRY_AFTER)
}
