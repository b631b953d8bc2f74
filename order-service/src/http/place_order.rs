//! `POST /orders`

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use service_kit::Problem;
use service_kit::json_fields::JsonFields;
use service_kit::problem::FieldError;
use service_kit::trace::{Span, SpanKind};
use shared_events::http_api::{
    AcceptedOrder, CORRELATION_ID, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, NewOrder,
};

use super::{ApiState, RETRY_AFTER};
use crate::metrics::RequestOutcome;
use crate::order_intake::{Submission, SubmitError};
use crate::request::{RequestHeaders, read_order};

/// Accepts an order: 202 once it is committed.
pub(super) async fn place_order(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Result<JsonFields, Problem>,
) -> Response {
    let headers = match RequestHeaders::read(&headers) {
        Ok(headers) => headers,
        Err(problem) => {
            state.metrics.count_request(RequestOutcome::Invalid);
            return problem.into_response();
        }
    };
    let correlation_id = headers.correlation_id.clone();
    let mut response = match body.and_then(read_order) {
        Ok(order) => submit(&state, order, headers).await,
        Err(problem) => {
            state.metrics.count_request(RequestOutcome::Invalid);
            problem.into_response()
        }
    };
    // A repeated answer already has the correlation id of the first request.
    response
        .headers_mut()
        .entry(CORRELATION_ID)
        .or_insert_with(|| header_value(correlation_id.as_str()));
    response
}

async fn submit(state: &ApiState, order: NewOrder, headers: RequestHeaders) -> Response {
    let client_span = headers.traceparent;
    let (server_span, started) = (state.tracer.continue_trace(client_span), SystemTime::now());
    let result = state.intake.submit(order, headers, server_span).await;
    if state.tracer.is_recorded(server_span) {
        let span =
            Span::new("POST /orders", SpanKind::Server, server_span, started).child_of(client_span);
        state.tracer.record(with_result(span, &result));
    }
    let unavailable = |detail| Problem::unavailable(detail, RETRY_AFTER).into_response();
    let (outcome, response) = match result {
        Ok(Submission::Accepted(order)) => {
            tracing::debug!(order.id = %order.order_id, correlation.id = %order.correlation_id, "order accepted");
            (RequestOutcome::Accepted, accepted(order))
        }
        Ok(Submission::Repeated(order)) => {
            let replayed = [(IDEMPOTENT_REPLAYED, "true")];
            (
                RequestOutcome::Repeated,
                (replayed, accepted(order)).into_response(),
            )
        }
        Ok(Submission::KeyReused) => (RequestOutcome::KeyReused, key_reused().into_response()),
        Err(SubmitError::QueueFull) => (
            RequestOutcome::QueueFull,
            unavailable("too many orders are waiting to be accepted"),
        ),
        Err(SubmitError::OutboxFull) => (
            RequestOutcome::OutboxFull,
            unavailable("too many accepted orders are waiting for Kafka"),
        ),
        Err(SubmitError::Unavailable) => (
            RequestOutcome::Unavailable,
            unavailable("orders cannot be accepted now"),
        ),
    };
    state.metrics.count_request(outcome);
    response
}

/// The request's span with its response. A repeated request has a trace of its own; the order's
/// saga stays in the first one.
fn with_result(span: Span, result: &Result<Submission, SubmitError>) -> Span {
    let span = span
        .attribute("http.request.method", "POST")
        .attribute("http.route", "/orders");
    match result {
        Ok(Submission::Accepted(order) | Submission::Repeated(order)) => span
            .attribute("http.response.status_code", 202)
            .attribute("order.id", order.order_id.to_string()),
        Ok(Submission::KeyReused) => span.attribute("http.response.status_code", 422),
        Err(error) => span
            .attribute("http.response.status_code", 503)
            .with_error(Some(format!("{error:?}"))),
    }
}

fn key_reused() -> Problem {
    let detail = "stands for another request: the first one with this key had another body";
    Problem::invalid(vec![FieldError::new(IDEMPOTENCY_KEY, detail)])
}

fn accepted(order: AcceptedOrder) -> Response {
    let headers = [
        (
            LOCATION,
            header_value(&format!("/orders/{}", order.order_id)),
        ),
        (
            HeaderName::from_static(CORRELATION_ID),
            header_value(order.correlation_id.as_str()),
        ),
    ];
    (StatusCode::ACCEPTED, headers, Json(order)).into_response()
}

/// For ids only: they are visible ASCII, so the conversion cannot fail.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
}
