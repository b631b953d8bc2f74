//! The limits on what one client may use: connections, bytes and time.
//!
//! A request body is read whole before the router sees the request. All bodies are small, so a
//! client that sends slowly or without end never blocks a handler.
//!
//! tower-http's `RequestBodyLimitLayer` is not used: its 413 is plain text without the limit, and
//! it closes the connection over unread data, which resets it before the client has read the
//! answer. Its `RequestBodyTimeoutLayer` limits the time between two chunks, not the time of the
//! whole body.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::timeout;

use crate::Problem;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at once. Further ones wait in the kernel until a connection ends; an idle
    /// one ends after `header_time`.
    pub(crate) connections: usize,
    /// How long the headers of a request may take, counted from the connection's start or the
    /// previous response. It is also how long a connection may be idle.
    pub(crate) header_time: Duration,
    /// Most bytes of a body.
    pub(crate) body_bytes: usize,
    /// How long a whole body may take to arrive.
    pub(crate) body_time: Duration,
    /// How long a handler may take until its response begins. A stream may take longer.
    pub(crate) response_time: Duration,
}

impl Limits {
    /// The limits of every service. `response_time` is longer than any wait for the database (3 s
    /// for a connection and 10 s for a statement), so that the handler's own error, which says
    /// more, comes first.
    pub(crate) const SERVICE: Self = Self {
        connections: 1024,
        header_time: Duration::from_secs(10),
        body_bytes: 16 * 1024,
        body_time: Duration::from_secs(10),
        response_time: Duration::from_secs(20),
    };
}

/// Most bytes of a too large body that are read and dropped before the response. The kernel resets
/// a connection that is closed over unread data, and the client would not see the response.
const DISCARD_LIMIT: usize = 1024 * 1024;

/// A middleware that reads the body within the limits, and then limits the time until the response
/// begins: 413 if the body is too large, 408 if it takes too long, 503 if the response does.
///
/// tower's and tower-http's `TimeoutLayer` are not used: they need a layer more for each request,
/// with a future on the heap, to answer with a problem document and `Retry-After`.
pub(crate) async fn limit_body_and_response(
    State(limits): State<Limits>,
    request: Request,
    next: Next,
) -> Response {
    let request = match timeout(limits.body_time, read_body(limits, request)).await {
        Ok(Ok(request)) => request,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => {
            let detail = format!("the body did not arrive within {:?}", limits.body_time);
            return Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response();
        }
    };
    match timeout(limits.response_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("the response took too long", Duration::from_secs(1))
            .into_response(),
    }
}

async fn read_body(limits: Limits, request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let length = content_length(&parts.headers);
    if length.is_none() && !parts.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let announced_too_large = length.is_some_and(|length| length > limits.body_bytes as u64);
    if announced_too_large && parts.headers.contains_key(EXPECT) {
        // With `Expect: 100-continue` the client waits for this answer before it sends the body.
        return Err(too_large(limits));
    }
    let body = collect(limits, body).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// hyper has validated the header. A request without it and without a transfer encoding has no
/// body.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(limits: Limits, body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut collected = Vec::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::bad_request("the body is incomplete or does not match its encoding")
        })?;
        length += chunk.len();
        if length <= limits.body_bytes {
            collected.extend_from_slice(&chunk);
        } else if length > DISCARD_LIMIT {
            break;
        }
    }
    if length > limits.body_bytes {
        Err(too_large(limits))
    } else {
        Ok(Bytes::from(collected))
    }
}

fn too_large(limits: Limits) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body has at most {} bytes", limits.body_bytes),
    )
}
