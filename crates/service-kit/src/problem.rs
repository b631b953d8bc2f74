//! Error responses: problem documents (RFC 9457).

use std::time::Duration;

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, http::Method, http::Uri};
use shared_events::http_api::{PROBLEM_MEDIA_TYPE, ProblemDocument};

pub use shared_events::http_api::FieldError;

/// An error response: a [`ProblemDocument`] with its status code and headers.
///
/// The type is always `about:blank`, which in RFC 9457 means that the status code describes the
/// problem. The title is the reason phrase of the status code. A 5xx never contains its cause,
/// which belongs in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    /// In a box, because most functions that may return a problem return none.
    document: Box<ProblemDocument>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with this status and no list of fields.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            document: Box::new(ProblemDocument {
                type_uri: "about:blank".to_owned(),
                title: status.canonical_reason().unwrap_or("Error").to_owned(),
                status: status.as_u16(),
                detail: detail.into(),
                errors: Vec::new(),
            }),
            retry_after: None,
        }
    }

    /// 400: the request cannot be parsed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: the resource does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 415: the body must have the media type `expected`.
    pub fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Type must be {expected}"),
        )
    }

    /// 422: the request can be parsed, but fields are wrong. `errors` holds all of them.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let fields: Vec<_> = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.detail))
            .collect();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, fields.join("; "));
        problem.document.errors = errors;
        problem
    }

    /// 503 with `Retry-After`: a later attempt can succeed. `detail` must not contain the cause.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// 500. The caller has logged the cause.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error; the service's log has the cause",
        )
    }

    /// The HTTP status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A document of texts and numbers always serializes.
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        let mut response =
            (self.status, [(CONTENT_TYPE, PROBLEM_MEDIA_TYPE)], body).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The router with problem documents for unknown routes (404) and methods (405).
pub(crate) fn with_problem_fallbacks(router: Router) -> Router {
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("no route {}", uri.path()))
}

/// axum adds the header `Allow`.
async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{} does not take {method}; see the header {ALLOW}",
            uri.path()
        ),
    )
}
