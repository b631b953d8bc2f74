//! `/services/{service}/controls`: the settings for all members of a service's group, through the
//! topic `sandbox.controls`.

use std::sync::PoisonError;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use kafka_admin::member_controls::parse_group_controls;
use kafka_admin::{Cluster, ClusterError};
use serde::Serialize;
use service_kit::Problem;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use shared_events::{GroupControls, Service};
use tokio::task::spawn_blocking;

use super::Monitor;

#[derive(Serialize)]
pub(super) struct ControlsAnswer {
    service: &'static str,
    /// `None` if nothing is set for the group: its members use their defaults and their
    /// environment.
    controls: Option<GroupControls>,
}

/// The service in the path; 404 if there is no such service.
pub(super) struct ServicePath(pub(super) Service);

impl<S: Send + Sync> FromRequestParts<S> for ServicePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let service = path.ok().and_then(|Path(name)| name.parse().ok());
        let names = Service::ALL.map(Service::name).join(", ");
        service
            .map(Self)
            .ok_or_else(|| Problem::not_found(format!("no such service; there are: {names}")))
    }
}

pub(super) async fn show(
    State(monitor): State<Monitor>,
    ServicePath(service): ServicePath,
) -> Result<Json<ControlsAnswer>, Problem> {
    let controls = monitor.cluster()?.controls(service).await;
    let controls = controls.map_err(|error| monitor.controls_unavailable(&error))?;
    Ok(answer(service, controls))
}

/// Replaces all controls of the group. A processing time without a batch size sets the batch size
/// as well: to 1 if the time is positive, since the time is meant for each message, else to the
/// default.
pub(super) async fn set(
    State(monitor): State<Monitor>,
    ServicePath(service): ServicePath,
    fields: JsonFields,
) -> Result<Json<ControlsAnswer>, Problem> {
    // The members decide whether they obey a fault. The page sends back the faults that it found.
    let controls = parse_group_controls(fields, true)?.with_implied_batch_max();
    if controls.is_empty() {
        let detail = "is missing, and so are batch_max, paused, crash_at and protection_off: at least one must be given";
        return Err(Problem::invalid(vec![FieldError::new(
            "processing_time_ms",
            detail,
        )]));
    }
    let result = monitor.cluster()?.set_controls(service, &controls).await;
    result.map_err(|error| monitor.controls_unavailable(&error))?;
    Ok(answer(service, Some(controls)))
}

pub(super) async fn clear(
    State(monitor): State<Monitor>,
    ServicePath(service): ServicePath,
) -> Result<Json<ControlsAnswer>, Problem> {
    let result = monitor.cluster()?.clear_controls(service).await;
    result.map_err(|error| monitor.controls_unavailable(&error))?;
    Ok(answer(service, None))
}

fn answer(service: Service, controls: Option<GroupControls>) -> Json<ControlsAnswer> {
    Json(ControlsAnswer {
        service: service.name(),
        controls,
    })
}

impl Monitor {
    /// The Kafka client of the controls. Created by the first request, and recreated after each
    /// time Kafka was not reachable: librdkafka can lose every broker for good (its issue 5301).
    fn cluster(&self) -> Result<Cluster, Problem> {
        let mut slot = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = slot.as_ref() {
            return Ok(cluster.clone());
        }
        match Cluster::new(&self.kafka) {
            Ok(cluster) => Ok(slot.insert(cluster).clone()),
            Err(error) => {
                // `controls_unavailable` locks the same mutex.
                drop(slot);
                Err(self.controls_unavailable(&error))
            }
        }
    }

    /// Logs the error here, since a 503 does not contain its cause.
    fn controls_unavailable(&self, error: &ClusterError) -> Problem {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the controls of a group cannot be read or written"
        );
        let detail = match error {
            ClusterError::NotFound(what) => what.clone(),
            _ => {
                let slot = self.cluster.lock();
                let lost = slot.unwrap_or_else(PoisonError::into_inner).take();
                // Closing a client waits for its threads, and would block the one thread of the
                // server.
                spawn_blocking(move || drop(lost));
                "the topic of controls cannot be reached now".to_owned()
            }
        };
        Problem::unavailable(detail, self.state.settings().poll_interval)
    }
}
