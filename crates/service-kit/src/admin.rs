//! The endpoints `/health/live`, `/health/ready` and `/metrics`.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Gauge, Registry, TextEncoder};

use crate::{Problem, Readiness};

/// `/health/live` always answers 200; `/health/ready` answers 200 or 503 with the components of
/// [`Readiness`]; `/metrics` answers in Prometheus's text format.
///
/// Adds `process_start_time_seconds` to the registry: a query needs it to distinguish a counter that
/// is new from one that Prometheus has not seen before.
pub fn router(readiness: Readiness, registry: Registry) -> Router {
    register_start_time(&registry);
    Router::new()
        .route(
            "/health/live",
            get(async || r#"{"status":"alive"}"#.with_type("application/json")),
        )
        .route("/health/ready", get(async move || readiness.response()))
        .route("/metrics", get(async move || metrics(&registry)))
}

fn register_start_time(registry: &Registry) {
    let gauge = Gauge::new(
        "process_start_time_seconds",
        "Start time of the process, in seconds since the Unix epoch.",
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let registered = gauge.and_then(|gauge| {
        gauge.set(now.as_secs_f64());
        registry.register(Box::new(gauge))
    });
    if let Err(error) = registered {
        tracing::error!(%error, "cannot register the start time");
    }
}

fn metrics(registry: &Registry) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => text.with_type(prometheus::TEXT_FORMAT),
        Err(error) => {
            tracing::error!(%error, "cannot encode the metrics");
            Problem::internal().into_response()
        }
    }
}

trait WithType {
    fn with_type(self, content_type: &'static str) -> Response;
}

impl<T: IntoResponse> WithType for T {
    fn with_type(self, content_type: &'static str) -> Response {
        ([(CONTENT_TYPE, content_type)], self).into_response()
    }
}
