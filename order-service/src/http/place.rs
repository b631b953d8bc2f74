//! `POST /orders`

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use service_kit::Problem;
use service_kit::body::Fields;
use service_kit::problem::FieldError;
use service_kit::trace::{Span, SpanKind};
use shared_events::{CorrelationId, OrderId};

use super::{RETRY_AFTER, Shop};
use crate::acceptance::{Accepted, Answer, Refusal};
use crate::domain::Status;
use crate::metrics::Outcome;
use crate::request::{CORRELATION_ID, IDEMPOTENCY_KEY, Names, NewOrder};

/// Says that the answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedView {
    order_id: OrderId,
    correlation_id: CorrelationId,
    status: &'static str,
}

/// Takes an order: 202 once it is written, wherever its saga may go.
pub(super) async fn place(
    State(shop): State<Shop>,
    headers: HeaderMap,
    body: Result<Fields, Problem>,
) -> Response {
    let names = match Names::read(&headers) {
        Ok(names) => names,
        Err(problem) => {
            shop.metrics.request(Outcome::Invalid);
            return problem.into_response();
        }
    };
    let correlation_id = names.correlation_id.clone();
    let mut response = match body.and_then(NewOrder::read) {
        Ok(order) => answered(&shop, order, names).await,
        Err(problem) => {
            shop.metrics.request(Outcome::Invalid);
            problem.into_response()
        }
    };
    // An answer of before brings the name it was given then.
    response
        .headers_mut()
        .entry(CORRELATION_ID)
        .or_insert_with(|| header(correlation_id.as_str()));
    response
}

async fn answered(shop: &Shop, order: NewOrder, names: Names) -> Response {
    let Names {
        key,
        correlation_id,
        traceparent,
    } = names;
    let (place, started) = (shop.tracer.enter(traceparent), SystemTime::now());
    let answer = shop.door.enter(order, key, correlation_id, place).await;
    let span = Span::new("POST /orders", SpanKind::Server, place, started).part_of(traceparent);
    shop.tracer.end(told(span, &answer));
    let unavailable = |detail| Problem::unavailable(detail, RETRY_AFTER).into_response();
    let (outcome, response) = match answer {
        Ok(Answer::Accepted(accepted)) => {
            let Accepted {
                order_id,
                correlation_id,
            } = &accepted;
            tracing::debug!(order.id = %order_id, correlation.id = %correlation_id, "order accepted");
            (Outcome::Accepted, accepted.into_response())
        }
        Ok(Answer::Repeated(accepted)) => (
            Outcome::Repeated,
            ([(REPLAYED, HeaderValue::from_static("true"))], accepted).into_response(),
        ),
        Ok(Answer::KeyReused) => (Outcome::KeyReused, key_reused().into_response()),
        Err(Refusal::QueueFull) => (
            Outcome::QueueFull,
            unavailable("too many orders are waiting to be accepted"),
        ),
        Err(Refusal::OutboxFull) => (
            Outcome::OutboxFull,
            unavailable("too many accepted orders are waiting for Kafka"),
        ),
        Err(Refusal::Unavailable) => (
            Outcome::Unavailable,
            unavailable("orders cannot be accepted now"),
        ),
    };
    shop.metrics.request(outcome);
    response
}

/// What a request's span says of its answer. An order given before has its own trace, to which this one is of no interest.
fn told(span: Span, answer: &Result<Answer, Refusal>) -> Span {
    let span = span
        .attribute("http.request.method", "POST")
        .attribute("http.route", "/orders");
    match answer {
        Ok(Answer::Accepted(accepted) | Answer::Repeated(accepted)) => span
            .attribute("http.response.status_code", 202)
            .attribute("order.id", accepted.order_id.to_string()),
        Ok(Answer::KeyReused) => span.attribute("http.response.status_code", 422),
        Err(refusal) => span
            .attribute("http.response.status_code", 503)
            .failed(Some(format!("{refusal:?}"))),
    }
}

fn key_reused() -> Problem {
    let detail = "stands for another request: the first one with this key had another body";
    Problem::invalid(vec![FieldError::new(IDEMPOTENCY_KEY, detail)])
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let Self {
            order_id,
            correlation_id,
        } = self;
        let headers = [
            (LOCATION, header(&format!("/orders/{order_id}"))),
            (
                HeaderName::from_static(CORRELATION_ID),
                header(correlation_id.as_str()),
            ),
        ];
        let view = AcceptedView {
            order_id,
            correlation_id,
            status: Status::Pending.name(),
        };
        (StatusCode::ACCEPTED, headers, Json(view)).into_response()
    }
}

/// Only for texts of visible ASCII, as ids are: for these it cannot fail.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"))
}
