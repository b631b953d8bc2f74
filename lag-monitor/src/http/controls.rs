//! `/services/{service}/controls`: what all members of a service's group are told, through the topic `sandbox.controls`.

use std::sync::PoisonError;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use kafka_admin::{Cluster, ClusterError};
use kafka_runtime::controls::asked_for;
use serde::Serialize;
use service_kit::Problem;
use service_kit::body::Fields;
use service_kit::problem::FieldError;
use shared_events::{GroupControls, Service};
use tokio::task::spawn_blocking;

use super::Monitor;

#[derive(Serialize)]
pub(super) struct ControlsAnswer {
    service: &'static str,
    /// None if the members are told nothing, and do as they were started.
    controls: Option<GroupControls>,
}

/// The service that a path names.
pub(super) struct Named(Service);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let known = path.ok().and_then(|Path(name)| name.parse().ok());
        let names = Service::ALL.map(Service::name).join(", ");
        known
            .map(Self)
            .ok_or_else(|| Problem::not_found(format!("no such service; there are: {names}")))
    }
}

pub(super) async fn show(
    State(monitor): State<Monitor>,
    Named(service): Named,
) -> Result<Json<ControlsAnswer>, Problem> {
    let controls = monitor.cluster()?.controls(service).await;
    let controls = controls.map_err(|error| monitor.refused(&error))?;
    Ok(answer(service, controls))
}

/// What was told before holds no longer. A time without a batch size has its usual meaning: each message.
pub(super) async fn set(
    State(monitor): State<Monitor>,
    Named(service): Named,
    fields: Fields,
) -> Result<Json<ControlsAnswer>, Problem> {
    let controls = asked_for(fields)?.completed();
    if controls.names_nothing() {
        let detail = "is missing, and so are batch_max and paused: one of them must be there";
        return Err(Problem::invalid(vec![FieldError::new(
            "processing_time_ms",
            detail,
        )]));
    }
    let told = monitor.cluster()?.set_controls(service, &controls).await;
    told.map_err(|error| monitor.refused(&error))?;
    Ok(answer(service, Some(controls)))
}

pub(super) async fn clear(
    State(monitor): State<Monitor>,
    Named(service): Named,
) -> Result<Json<ControlsAnswer>, Problem> {
    let told = monitor.cluster()?.clear_controls(service).await;
    told.map_err(|error| monitor.refused(&error))?;
    Ok(answer(service, None))
}

fn answer(service: Service, controls: Option<GroupControls>) -> Json<ControlsAnswer> {
    Json(ControlsAnswer {
        service: service.name(),
        controls,
    })
}

impl Monitor {
    /// Made when it is first asked for, and anew after each time it was out of reach: librdkafka may have lost every broker for good
    /// (its issue 5301).
    fn cluster(&self) -> Result<Cluster, Problem> {
        let mut kept = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = kept.as_ref() {
            return Ok(cluster.clone());
        }
        let made = Cluster::new(&self.kafka);
        match made {
            Ok(made) => Ok(kept.insert(made).clone()),
            Err(error) => {
                drop(kept);
                Err(self.refused(&error))
            }
        }
    }

    /// An error of the cluster, logged here since its answer does not tell it.
    fn refused(&self, error: &ClusterError) -> Problem {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the controls of a group are out of reach"
        );
        let detail = match error {
            ClusterError::Missing(what) => what.clone(),
            _ => {
                let lost = self.cluster.lock();
                let lost = lost.unwrap_or_else(PoisonError::into_inner).take();
                // Closing a client waits for its threads, which is nothing for one that serves others.
                spawn_blocking(move || drop(lost));
                "the topic of controls cannot be reached now".to_owned()
            }
        };
        Problem::unavailable(detail, self.watch.rules().every)
    }
}
