//! What a service waits for, by name.
//!
//! Each part of a service that needs something from outside owns a [`Component`] and says how it is. `GET /health/ready` shows
//! them all, so that "not ready" always comes with its reason.

use std::fmt;
use std::mem::discriminant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// How long the log has heard enough of one state.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// Reasons for one state that are logged as they come. The first is often no more than "not yet", the second says why.
const SAY_AT_ONCE: u32 = 2;

/// Whether a service can do its work, and if not, why not. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness {
    service: &'static str,
    components: Arc<Mutex<Vec<Entry>>>,
}

/// One thing a service needs. It is down until it says otherwise. Clones speak for the same one.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    place: usize,
    readiness: Readiness,
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    state: State,
    /// Reasons logged since the state became what it is, and when the last one was.
    said: (u32, Option<Instant>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ready,
    Degraded(String),
    Down(String),
}

#[derive(Serialize)]
struct Report {
    service: &'static str,
    status: &'static str,
    components: Vec<ComponentReport>,
}

#[derive(Serialize)]
struct ComponentReport {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Readiness {
    /// A service that needs nothing yet, and so is ready. Name what it needs before it listens.
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            components: Arc::default(),
        }
    }

    /// Adds a thing that the service needs; down, with the reason `starting`, until it says otherwise.
    pub fn component(&self, name: &'static str) -> Component {
        let mut components = self.entries();
        components.push(Entry {
            name,
            state: State::Down("starting".to_owned()),
            said: (0, None),
        });
        Component {
            name,
            place: components.len() - 1,
            readiness: self.clone(),
        }
    }

    /// Whether no component is down.
    pub fn is_ready(&self) -> bool {
        self.entries()
            .iter()
            .all(|entry| !matches!(entry.state, State::Down(_)))
    }

    /// The answer to `GET /health/ready`: 200 with status `ready` or `degraded`, or 503 with status `not_ready`; in every case
    /// with the components and their reasons.
    pub(crate) fn answer(&self) -> Response {
        let components: Vec<_> = self.entries().iter().map(ComponentReport::of).collect();
        let any = |status| {
            components
                .iter()
                .any(|component| component.status == status)
        };
        let (code, status) = match (any("down"), any("degraded")) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
            (false, true) => (StatusCode::OK, "degraded"),
            (false, false) => (StatusCode::OK, "ready"),
        };
        (
            code,
            Json(Report {
                service: self.service,
                status,
                components,
            }),
        )
            .into_response()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        // Every change is one assignment, so what a panicking thread left behind is whole.
        self.components
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Readiness {
    /// All components in one line: `database ready; consumer down (has not joined its group yet)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, entry) in self.entries().iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{} ", entry.name)?;
            match &entry.state {
                State::Ready => write!(f, "ready")?,
                State::Degraded(reason) => write!(f, "degraded ({reason})")?,
                State::Down(reason) => write!(f, "down ({reason})")?,
            }
        }
        Ok(())
    }
}

impl Component {
    /// It works.
    pub fn ready(&self) {
        self.set(State::Ready);
    }

    /// It does not work, but the service does its work without it for now.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(State::Degraded(reason.into()));
    }

    /// It does not work, and without it the service cannot do its work.
    pub fn down(&self, reason: impl Into<String>) {
        self.set(State::Down(reason.into()));
    }

    /// Every change is logged, here. Another reason for the same state is, too, but the third and later ones only now and then: a
    /// loop of attempts has a new reason for each, and fills no log with them.
    fn set(&self, state: State) {
        let mut entries = self.readiness.entries();
        let Some(entry) = entries.get_mut(self.place) else {
            return;
        };
        if entry.state == state {
            return;
        }
        if entry.is_news(&state) {
            state.say(self.name);
        }
        entry.state = state;
    }
}

impl Entry {
    /// Whether the next state is to be logged; counted as logged, if so.
    fn is_news(&mut self, next: &State) -> bool {
        let (said, last) = match discriminant(&self.state) == discriminant(next) {
            true => self.said,
            false => (0, None),
        };
        let lately = last.is_some_and(|last| last.elapsed() < SAY_AGAIN);
        let news = said < SAY_AT_ONCE || !lately;
        self.said = match news {
            true => (said + 1, Some(Instant::now())),
            false => (said, last),
        };
        news
    }
}

impl State {
    fn say(&self, component: &'static str) {
        match self {
            Self::Ready => tracing::info!(component, "ready"),
            Self::Degraded(reason) => tracing::warn!(component, reason, "degraded"),
            Self::Down(reason) => tracing::warn!(component, reason, "not ready"),
        }
    }
}

impl ComponentReport {
    fn of(entry: &Entry) -> Self {
        let (status, reason) = match &entry.state {
            State::Ready => ("ready", None),
            State::Degraded(reason) => ("degraded", Some(reason.clone())),
            State::Down(reason) => ("down", Some(reason.clone())),
        };
        Self {
            name: entry.name,
            status,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shown(readiness: &Readiness) -> (u16, serde_json::Value) {
        let answer = readiness.answer();
        let code = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 4096)
            .await
            .unwrap();
        (code, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_service_is_not_ready_while_anything_it_needs_is_down_and_says_which() {
        let readiness = Readiness::new("example");
        let (database, kafka) = (
            readiness.component("database"),
            readiness.component("kafka"),
        );
        kafka.ready();
        assert_eq!(
            shown(&readiness).await,
            (
                503,
                serde_json::json!({"service": "example", "status": "not_ready", "components": [
                    {"name": "database", "status": "down", "reason": "starting"},
                    {"name": "kafka", "status": "ready"},
                ]})
            )
        );
        assert!(!readiness.is_ready());
        database.ready();
        assert_eq!(shown(&readiness).await.1["status"], "ready");
    }

    #[tokio::test]
    async fn a_degraded_service_is_ready_and_says_why_it_is_degraded() {
        let readiness = Readiness::new("example");
        readiness.component("database").ready();
        readiness.component("kafka").degraded("no broker answers");
        let (code, body) = shown(&readiness).await;
        assert_eq!(
            (code, &body["status"]),
            (200, &serde_json::json!("degraded"))
        );
        assert_eq!(body["components"][1]["reason"], "no broker answers");
        assert!(readiness.is_ready());
    }

    #[test]
    fn the_first_reasons_of_a_state_are_logged_at_once_and_a_stream_of_them_is_not() {
        let down = |reason: &str| State::Down(reason.to_owned());
        let mut entry = Entry {
            name: "kafka",
            state: down("starting"),
            said: (0, None),
        };
        let mut told = |next: State| {
            let news = entry.is_news(&next);
            entry.state = next;
            news
        };
        assert!(told(down("not reached yet")));
        assert!(told(down("connection refused, 1 ms")));
        assert!(!told(down("connection refused, 2 ms")));
        assert!(told(State::Ready));
        assert!(told(down("connection lost")));
    }
}
