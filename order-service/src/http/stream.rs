//! `GET /orders/{id}/events`: a saga as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use service_kit::Problem;
use service_kit::parameters::{Parameters, Within};
use shared_events::OrderId;
use sqlx::PgPool;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::view::FactView;
use super::{Named, RETRY_AFTER, Shop, Streams, unavailable, unknown};
use crate::domain::Order;
use crate::store;

/// How often the order is looked at. Its facts may be written by another instance, so there is nothing else to wait for.
const POLL: Duration = Duration::from_millis(200);

/// How long a stream goes on, unless asked otherwise.
const SECONDS: u32 = 60;

/// How long a stream may go on.
const MOST_SECONDS: u32 = 300;

/// One event for each fact, those known already and then those that come; until the saga ends, or an event `timeout`.
pub(super) async fn stream(
    State(shop): State<Shop>,
    Named(id): Named,
    mut parameters: Parameters,
    streams: Streams,
) -> Result<Response, Problem> {
    let seconds = parameters
        .take::<Within<1, MOST_SECONDS>>("timeout_s")
        .map_or(SECONDS, |Within(seconds)| seconds);
    parameters.finish()?;
    let permit = streams
        .0
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("too many streams are open", RETRY_AFTER))?;
    let order = store::find(&shop.pool, id).await.map_err(unavailable)?;
    let order = order.ok_or_else(|| unknown(id))?;
    let watch = Watch {
        id,
        pool: shop.pool,
        deadline: Instant::now() + Duration::from_secs(seconds.into()),
        shutdown: shop.shutdown,
        told: Vec::new(),
        seen: Some(order),
        over: false,
        _permit: permit,
    };
    Ok(Sse::new(watch.into_stream()).into_response())
}

/// A stream's state between two events.
struct Watch {
    id: OrderId,
    pool: PgPool,
    deadline: Instant,
    shutdown: CancellationToken,
    told: Vec<&'static str>,
    /// The order as last seen, if anything of it may still be told.
    seen: Option<Order>,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            Some((Ok(watch.next().await?), watch))
        })
    }

    /// The next event; `None` when there will be none.
    async fn next(&mut self) -> Option<Event> {
        while !self.over {
            if let Some(order) = &self.seen {
                if let Some(fact) =
                    FactView::all(order).find(|fact| !self.told.contains(&fact.event))
                {
                    self.told.push(fact.event);
                    return Some(event(&fact, order));
                }
                self.over = order.facts.status().is_end();
                self.seen = None;
                continue;
            }
            let shutdown = self.shutdown.clone();
            match timeout_at(self.deadline, shutdown.run_until_cancelled(self.look())).await {
                Ok(Some(order)) => self.seen = order,
                // The service stops: the client will ask another instance.
                Ok(None) => self.over = true,
                Err(_) => {
                    self.over = true;
                    return Some(Event::default().event("timeout").data("{}"));
                }
            }
        }
        None
    }

    /// Looks again, a moment later. A database that is away may come back before the deadline.
    async fn look(&self) -> Option<Order> {
        sleep(POLL).await;
        let found = store::find(&self.pool, self.id).await;
        found.inspect_err(|error| tracing::debug!(%error, order.id = %self.id, "a watched order could not be read")).ok().flatten()
    }
}

/// A fact as an event, with the status that all facts known so far come to.
fn event(fact: &FactView, order: &Order) -> Event {
    let data = serde_json::json!({
        "orderId": order.order_id,
        "event": fact.event,
        "eventId": fact.event_id,
        "at": fact.at,
        "status": order.facts.status().name(),
    });
    Event::default()
        .event(fact.event)
        .id(fact.event_id.to_string())
        .data(data.to_string())
}
