//! `GET /orders/{id}/events`: the facts of an order as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use service_kit::query_params::QueryParams;
use service_kit::{BoundedInt, Problem};
use shared_events::http_api::Fact;
use shared_events::{EventType, OrderId};
use sqlx::PgPool;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::order_view::facts;
use super::{ApiState, PathOrderId, RETRY_AFTER, StreamPermits, not_found, unavailable};
use crate::domain::Order;
use crate::store;

/// How often the order is read. Another instance may write its facts, so there is no local signal
/// to wait for.
const POLL: Duration = Duration::from_millis(200);

/// How long a stream lasts without the parameter `timeout_s`.
const DEFAULT_SECONDS: u32 = 60;

/// The largest `timeout_s`.
const MAX_SECONDS: u64 = 300;

/// One event for each fact, known ones first, until the saga ends. A stream that reaches its
/// timeout ends with an event `timeout`.
pub(super) async fn watch_order(
    State(state): State<ApiState>,
    PathOrderId(id): PathOrderId,
    mut parameters: QueryParams,
    permits: StreamPermits,
) -> Result<Response, Problem> {
    let seconds = parameters
        .take::<BoundedInt<1, MAX_SECONDS>>("timeout_s")
        .map_or(DEFAULT_SECONDS, BoundedInt::get_u32);
    parameters.finish()?;
    let permit = permits
        .0
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("too many streams are open", RETRY_AFTER))?;
    let order = store::find(&state.pool, id).await.map_err(unavailable)?;
    let order = order.ok_or_else(|| not_found(id))?;
    let watch = OrderWatch {
        id,
        pool: state.pool,
        deadline: Instant::now() + Duration::from_secs(seconds.into()),
        shutdown: state.shutdown,
        sent: Vec::new(),
        unsent: Some(order),
        ended: false,
        _permit: permit,
    };
    Ok(Sse::new(watch.into_stream()).into_response())
}

/// The state of a stream between two events.
struct OrderWatch {
    id: OrderId,
    pool: PgPool,
    deadline: Instant,
    shutdown: CancellationToken,
    sent: Vec<EventType>,
    /// The order as last read, while it may have facts that are not sent.
    unsent: Option<Order>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl OrderWatch {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            Some((Ok(watch.next().await?), watch))
        })
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            if let Some(order) = &self.unsent {
                if let Some(fact) = facts(order).find(|fact| !self.sent.contains(&fact.event)) {
                    self.sent.push(fact.event);
                    return Some(sse_event(&fact, order));
                }
                self.ended = order.facts.status().is_final();
                self.unsent = None;
                continue;
            }
            let shutdown = self.shutdown.clone();
            match timeout_at(self.deadline, shutdown.run_until_cancelled(self.poll())).await {
                Ok(Some(order)) => self.unsent = order,
                // The service stops: the client can connect to another instance.
                Ok(None) => self.ended = true,
                Err(_) => {
                    self.ended = true;
                    return Some(Event::default().event("timeout").data("{}"));
                }
            }
        }
        None
    }

    /// Reads the order after a pause. An error is no reason to end: the database may be back before
    /// the deadline.
    async fn poll(&self) -> Option<Order> {
        sleep(POLL).await;
        let found = store::find(&self.pool, self.id).await;
        found.inspect_err(|error| tracing::debug!(%error, order.id = %self.id, "a watched order could not be read")).ok().flatten()
    }
}

/// A fact, with the status that all facts known now add up to.
fn sse_event(fact: &Fact, order: &Order) -> Event {
    let data = serde_json::json!({
        "orderId": order.order_id,
        "event": fact.event,
        "eventId": fact.event_id,
        "at": fact.at,
        "status": order.facts.status(),
    });
    Event::default()
        .event(fact.event.name())
        .id(fact.event_id.to_string())
        .data(data.to_string())
}
