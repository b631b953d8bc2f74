//! `GET /events`: server-sent events about each poll and each alert.
//!
//! * `state` at once and after each poll: every group on every topic that it consumes.
//! * `alert`: an alert, as in `/alerts`.
//! * `unavailable` when the cluster cannot be read: the last `state` is no longer current.
//!
//! A client that reads too slowly misses events, and receives the next `state`.
//!
//! With `?detail=true` a `state` has everything that the page shows (partitions, members,
//! recommendations), so that the page shows one snapshot. Before the first `state`, `past` has the
//! lag of the partitions at earlier polls.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use futures::stream::{self, Stream};
use serde::Serialize;
use serde_json::json;
use service_kit::Problem;
use service_kit::query_params::QueryParams;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::state_event::{DetailedStateEvent, StateEvent, past_event};
use super::{MAX_STREAMS, Monitor};
use crate::format::rfc3339;
use crate::lag_state::MonitorEvent;

/// After this time without an event a comment is sent, so that no proxy and no client closes the
/// stream as idle.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn stream(
    State(monitor): State<Monitor>,
    mut parameters: QueryParams,
) -> Result<Response, Problem> {
    let detail = parameters.take("detail").unwrap_or(false);
    parameters.finish()?;
    let permit = monitor.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        let detail =
            format!("{MAX_STREAMS} streams are open, which is the limit: close one of them");
        Problem::unavailable(detail, monitor.state.settings().poll_interval)
    })?;
    let subscriber = Subscriber {
        events: monitor.state.subscribe(),
        monitor,
        detail,
        first_events: if detail {
            vec![FirstEvent::State, FirstEvent::Past]
        } else {
            vec![FirstEvent::State]
        },
        _permit: permit,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let events = Sse::new(subscriber.into_stream()).keep_alive(keep_alive);
    Ok(events.into_response())
}

/// Sent at once, before any [`MonitorEvent`].
enum FirstEvent {
    Past,
    State,
}

struct Subscriber {
    events: Receiver<MonitorEvent>,
    monitor: Monitor,
    detail: bool,
    /// In reverse order.
    first_events: Vec<FirstEvent>,
    _permit: OwnedSemaphorePermit,
}

impl Subscriber {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut subscriber| async move {
            Some((Ok(subscriber.next().await?), subscriber))
        })
    }

    /// `None` at shutdown.
    async fn next(&mut self) -> Option<Event> {
        match self.first_events.pop() {
            Some(FirstEvent::Past) => return Some(event("past", &past_event(&self.monitor))),
            Some(FirstEvent::State) => return Some(self.state_event()),
            None => {}
        }
        let shutdown = self.monitor.shutdown.clone();
        loop {
            match shutdown.run_until_cancelled(self.events.recv()).await? {
                Ok(MonitorEvent::StateChanged | MonitorEvent::PollFailed) => {
                    return Some(self.state_event());
                }
                Ok(MonitorEvent::Alert(alert)) => return Some(event("alert", &*alert)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// `state`, or `unavailable` if there is no current data.
    fn state_event(&self) -> Event {
        let monitor = &self.monitor;
        let now = Utc::now();
        let state = monitor
            .state
            .read_current(now, |current| match self.detail {
                true => event("state", &DetailedStateEvent::of(monitor, current, now)),
                false => event("state", &StateEvent::of(current)),
            });
        state.unwrap_or_else(|stale| {
            let last = stale.last_success.map(rfc3339);
            event("unavailable", &json!({"last_success": last}))
        })
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // Text and numbers only, so this cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(data)
}
