//! `/services/{service}/autoscaler`: what an autoscaler has reported last about a service. While its
//! report is current, a group that it has scaled to 0 has no members on purpose.

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use serde::Serialize;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use service_kit::{BoundedInt, Problem};
use shared_events::autoscaler_api::{AutoscalerReason, AutoscalerReport};

use super::Monitor;
use super::controls::ServicePath;
use crate::format::one_line;

/// Most instances of a service.
type Instances = BoundedInt<0, 1_000>;

/// An autoscaler that reads every hour reports every hour.
type ValidSeconds = BoundedInt<1, 14_400>;

#[derive(Serialize)]
pub(super) struct AutoscalerAnswer {
    service: &'static str,
    /// `None` if no autoscaler has reported, or its report is too old.
    autoscaler: Option<AutoscalerReport>,
}

pub(super) async fn show(
    State(monitor): State<Monitor>,
    ServicePath(service): ServicePath,
) -> Json<AutoscalerAnswer> {
    Json(AutoscalerAnswer {
        service: service.name(),
        autoscaler: monitor.state.autoscaler(service, Utc::now()),
    })
}

/// Replaces the report.
pub(super) async fn set(
    State(monitor): State<Monitor>,
    ServicePath(service): ServicePath,
    mut fields: JsonFields,
) -> Result<Json<AutoscalerAnswer>, Problem> {
    let numbers = fields
        .take::<Instances>("desired")
        .zip(fields.take::<Instances>("actual"))
        .zip(fields.take::<ValidSeconds>("valid_seconds"));
    let texts = fields
        .take::<String>("reason")
        .zip(fields.take::<String>("explanation"));
    let (((desired, actual), valid), (reason, explanation)) = fields.finish(numbers.zip(texts))?;
    let known = AutoscalerReason::ALL.into_iter();
    let reason = known.clone().find(|one| one.name() == reason);
    let reason = reason.ok_or_else(|| {
        let names: Vec<&str> = known.map(AutoscalerReason::name).collect();
        let limit = format!("must be one of {}", names.join(", "));
        Problem::invalid(vec![FieldError::new("reason", limit)])
    })?;
    let report = AutoscalerReport {
        desired: desired.get_u32(),
        actual: actual.get_u32(),
        reason,
        explanation: one_line(&explanation),
        valid_seconds: valid.get_u32(),
    };
    let state = &monitor.state;
    state.record_autoscaler(service, report.clone(), Utc::now());
    Ok(Json(AutoscalerAnswer {
        service: service.name(),
        autoscaler: Some(report),
    }))
}
