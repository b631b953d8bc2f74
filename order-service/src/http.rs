//! The HTTP API: placing, reading and watching orders. Its contract is [`shared_events::http_api`].

mod order_view;
mod place_order;
mod read_orders;
mod watch_order;

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

use crate::metrics::Metrics;
use crate::order_intake::OrderIntake;

/// `Retry-After` of a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most event streams at once: each asks the database five times a second.
const MAX_STREAMS: usize = 256;

/// What the handlers share.
#[derive(Clone)]
pub struct ApiState {
    pub intake: OrderIntake,
    /// For reading only.
    pub pool: PgPool,
    pub metrics: Metrics,
    pub tracer: Tracer,
    /// Ends the event streams.
    pub shutdown: CancellationToken,
}

/// The permits for event streams.
#[derive(Clone)]
struct StreamPermits(Arc<Semaphore>);

pub fn router(state: ApiState) -> Router {
    let permits = StreamPermits(Arc::new(Semaphore::new(MAX_STREAMS)));
    Router::new()
        .route(
            "/orders",
            get(read_orders::list).post(place_order::place_order),
        )
        .route("/orders/{id}", get(read_orders::show))
        .route(
            "/orders/{id}/events",
            get(move |state, id, parameters| {
                watch_order::watch_order(state, id, parameters, permits)
            }),
        )
        .with_state(state)
}

/// The order id in the path.
struct PathOrderId(OrderId);

impl<S: Send + Sync> FromRequestParts<S> for PathOrderId {
    type Rejection = Problem;

    /// A text that is no order id is answered with 404, like an unknown order.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let limit = OrderId::LIMIT;
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(id)| id.parse().ok());
        id.map(Self)
            .ok_or_else(|| Problem::not_found(format!("no such order: an order's id {limit}")))
    }
}

fn not_found(order: OrderId) -> Problem {
    Problem::not_found(format!("no order {order}"))
}

/// Logs a database error, and answers 503 without its cause.
fn unavailable(error: sqlx::Error) -> Problem {
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        "an order could not be read"
    );
    Problem::unavailable("the orders cannot be read now", RETRY_AFTER)
}
