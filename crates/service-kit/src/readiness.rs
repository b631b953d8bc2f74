//! The readiness of a service: one named component for each thing it depends on.
//!
//! The part of a service that uses a database or a broker owns a [`Component`] and sets its state.
//! `GET /health/ready` shows all components, so "not ready" always comes with its reason.

use std::fmt;
use std::mem::discriminant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::outage_log::OutageLog;

/// The readiness of one service. Clones share the state.
#[derive(Debug, Clone)]
pub struct Readiness {
    service: &'static str,
    components: Arc<Mutex<Vec<Entry>>>,
}

/// The state of one thing a service depends on, initially down. Clones share the state.
#[derive(Debug, Clone)]
pub struct Component {
    index: usize,
    readiness: Readiness,
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    state: State,
    outage: OutageLog,
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
    /// A service without components, which is ready. Add all components before the service listens.
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            components: Arc::default(),
        }
    }

    /// Adds a component: down with the reason `starting`.
    pub fn component(&self, name: &'static str) -> Component {
        let mut outage = OutageLog::default();
        outage.failed("starting");
        let mut components = self.entries();
        components.push(Entry {
            name,
            state: State::Down("starting".to_owned()),
            outage,
        });
        Component {
            index: components.len() - 1,
            readiness: self.clone(),
        }
    }

    /// Whether no component is down.
    pub fn is_ready(&self) -> bool {
        self.entries()
            .iter()
            .all(|entry| !matches!(entry.state, State::Down(_)))
    }

    /// The response to `GET /health/ready`: 200 with status `ready` or `degraded`, or 503 with
    /// status `not_ready`. The body lists the components and their reasons.
    pub(crate) fn response(&self) -> Response {
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
        // Every change is one assignment, so the data is consistent even after a panic.
        self.components
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Readiness {
    /// All components in one line: `database ready; consumer down (has not joined its group yet)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries().iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
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
    /// The component works.
    pub fn ready(&self) {
        self.set(State::Ready);
    }

    /// The component does not work, and the service works without it for now.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(State::Degraded(reason.into()));
    }

    /// The component does not work, and the service cannot work without it.
    pub fn down(&self, reason: impl Into<String>) {
        self.set(State::Down(reason.into()));
    }

    /// Logs every change of the state, and of its other reasons those that [`OutageLog`] selects.
    fn set(&self, state: State) {
        let mut entries = self.readiness.entries();
        let Some(entry) = entries.get_mut(self.index) else {
            return;
        };
        if entry.state == state {
            return;
        }
        entry.log(&state);
        entry.state = state;
    }
}

impl Entry {
    fn log(&mut self, next: &State) {
        let component = self.name;
        let is_other_state = discriminant(&self.state) != discriminant(next);
        match next {
            State::Ready => {
                let outage = self.outage.ended().unwrap_or_default();
                let seconds = outage.as_secs_f64();
                tracing::info!(component, after.seconds = seconds, "ready");
            }
            State::Degraded(reason) if self.outage.failed(reason) || is_other_state => {
                tracing::warn!(component, reason, "degraded");
            }
            State::Down(reason) if self.outage.failed(reason) || is_other_state => {
                tracing::warn!(component, reason, "not ready");
            }
            State::Degraded(_) | State::Down(_) => {}
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
        let response = readiness.response();
        let code = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        (code, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_service_is_not_ready_while_a_component_is_down() {
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
    async fn a_degraded_service_is_ready_and_shows_the_reason() {
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
}
