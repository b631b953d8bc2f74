//! `GET /events`: each poll and each alert as it happens, as server-sent events.
//!
//! `state` after each poll (and at once): every group on every topic that it reads. `alert`: as in `/alerts`. `unavailable` when the
//! cluster cannot be read: what `state` said before counts no longer. Who is too slow misses events, and gets the next state.

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

use super::Monitor;
use crate::text::{shown, time};
use crate::watch::{News, View};

/// A comment is sent after so long without an event, so that nobody on the way takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Serialize)]
struct StateEvent {
    timestamp: String,
    groups: Vec<Standing>,
}

#[derive(Serialize)]
struct Standing {
    group_id: String,
    topic: String,
    total_lag: Option<i64>,
    status: &'static str,
    rule: &'static str,
    evidence: String,
    rate_of_change: Option<f64>,
    time_to_drain_seconds: Option<f64>,
}

pub(super) async fn stream(
    State(monitor): State<Monitor>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let permit = monitor.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::unavailable("too many streams are open", monitor.watch.rules().every)
    })?;
    let listener = Listener {
        news: monitor.watch.news(),
        monitor,
        greeted: false,
        _permit: permit,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let events = Sse::new(listener.into_stream()).keep_alive(keep_alive);
    Ok(events.into_response())
}

/// Somebody who is told what happens.
struct Listener {
    news: Receiver<News>,
    monitor: Monitor,
    greeted: bool,
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
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(state(&self.monitor));
        }
        let shutdown = self.monitor.shutdown.clone();
        loop {
            match shutdown.run_until_cancelled(self.news.recv()).await? {
                Ok(News::Read | News::Failed) => return Some(state(&self.monitor)),
                Ok(News::Alert(alert)) => return Some(event("alert", &*alert)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn state(monitor: &Monitor) -> Event {
    match monitor.watch.look(Utc::now(), of_view) {
        Ok(state) => event("state", &state),
        Err(stale) => event(
            "unavailable",
            &json!({"last_success": stale.last_success.map(time)}),
        ),
    }
}

fn of_view(view: View<'_>) -> StateEvent {
    let groups = view.judged.iter().map(|(pair, judgement)| Standing {
        group_id: shown(&pair.group),
        topic: pair.topic.clone(),
        total_lag: judgement.total_lag,
        status: judgement.status().name(),
        rule: judgement.rule().name(),
        evidence: judgement.evidence().to_owned(),
        rate_of_change: judgement.rates.map(|rates| rates.lag),
        time_to_drain_seconds: judgement.time_to_drain.map(|time| time.as_secs_f64()),
    });
    StateEvent {
        timestamp: time(view.snapshot.taken_at),
        groups: groups.collect(),
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // Text and numbers only, so this cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(data)
}
