//! `GET /events`: each poll and each alert as it happens, as server-sent events.
//!
//! `state` after each poll (and at once): every group on every topic that it reads. `alert`: as in `/alerts`. `unavailable` when the
//! cluster cannot be read: what `state` said before counts no longer. Who is too slow misses events, and gets the next state.
//!
//! With `?detail=true` a `state` has all that the page shows (partitions, members, recommendations), so that what it shows is of one
//! moment, and before the first one `past` tells how the partitions were at the polls before.

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
use service_kit::parameters::Parameters;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::state::{DetailedState, StateEvent, past};
use super::{Monitor, STREAMS};
use crate::text::time;
use crate::watch::News;

/// A comment is sent after so long without an event, so that nobody on the way takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn stream(
    State(monitor): State<Monitor>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let detail = parameters.take("detail").unwrap_or(false);
    parameters.finish()?;
    let permit = monitor.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        let detail =
            format!("{STREAMS} streams are open, and there are no more: close one of them");
        Problem::unavailable(detail, monitor.watch.rules().every)
    })?;
    let listener = Listener {
        news: monitor.watch.news(),
        monitor,
        detail,
        greetings: if detail {
            vec![Greeting::State, Greeting::Past]
        } else {
            vec![Greeting::State]
        },
        _permit: permit,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let events = Sse::new(listener.into_stream()).keep_alive(keep_alive);
    Ok(events.into_response())
}

/// What a listener is told at once.
enum Greeting {
    Past,
    State,
}

/// Somebody who is told what happens.
struct Listener {
    news: Receiver<News>,
    monitor: Monitor,
    detail: bool,
    /// What is still to be told before any news, the last one first.
    greetings: Vec<Greeting>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            Some((Ok(listener.next().await?), listener))
        })
    }

    /// The next event; `None` when the monitor stops.
    async fn next(&mut self) -> Option<Event> {
        match self.greetings.pop() {
            Some(Greeting::Past) => return Some(event("past", &past(&self.monitor))),
            Some(Greeting::State) => return Some(self.state()),
            None => {}
        }
        let shutdown = self.monitor.shutdown.clone();
        loop {
            match shutdown.run_until_cancelled(self.news.recv()).await? {
                Ok(News::Read | News::Failed) => return Some(self.state()),
                Ok(News::Alert(alert)) => return Some(event("alert", &*alert)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn state(&self) -> Event {
        let monitor = &self.monitor;
        let now = Utc::now();
        let told = monitor.watch.look(now, |view| match self.detail {
            true => event("state", &DetailedState::of(monitor, view, now)),
            false => event("state", &StateEvent::of(view)),
        });
        told.unwrap_or_else(|stale| {
            let last = stale.last_success.map(time);
            event("unavailable", &json!({"last_success": last}))
        })
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // Text and numbers only, so this cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(data)
}
