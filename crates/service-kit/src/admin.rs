//! The endpoints `/health/live`, `/health/ready` and `/metrics`.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

use crate::{Problem, Readiness};

/// `/health/live` always answers 200; `/health/ready` answers 200 or 503 with the components of
/// [`Readiness`]; `/metrics` answers in Prometheus's text format.
pub fn router(readiness: Readiness, registry: Registry) -> Router {
    Router::new()
        .route(
            "/health/live",
            get(async || r#"{"status":"alive"}"#.with_type("application/json")),
        )
        .route("/health/ready", get(async move || readiness.response()))
        .route("/metrics", get(async move || metrics(&registry)))
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
