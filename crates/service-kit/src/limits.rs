//! What a client may cost: connections, bytes and time.
//!
//! A body is read whole before the router sees the request. All bodies here are small, and so no handler can be held up by a
//! client that sends slowly, nor by one that sends without end.

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

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at once. Further ones wait in the kernel until one ends, as an idle one does after `header_time`.
    pub(crate) connections: usize,
    /// How long the headers of a request may take, counted from the connection or from the answer before: so it is also how
    /// long a connection may be idle.
    pub(crate) header_time: Duration,
    /// Most bytes of a body.
    pub(crate) body_bytes: usize,
    /// How long a body may take to arrive.
    pub(crate) body_time: Duration,
    /// How long a handler may take until its answer *begins*. A stream may go on for longer.
    pub(crate) answer_time: Duration,
}

impl Limits {
    /// The bounds of every service of the shop. The answer's is longer than any wait for the database (3 s for a connection and
    /// 10 s for a statement), so that a handler's own, better answer comes first.
    pub(crate) const SERVICE: Self = Self {
        connections: 1024,
        header_time: Duration::from_secs(10),
        body_bytes: 16 * 1024,
        body_time: Duration::from_secs(10),
        answer_time: Duration::from_secs(20),
    };
}

/// How much of a body that is too large is read and thrown away before the answer. A connection closed over unread data is
/// reset, and the client would see that instead of the answer.
const DISCARD_LIMIT: usize = 1024 * 1024;

/// The layer's work: 413, 408 or 503 where a limit is passed.
pub(crate) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let request = match timeout(limits.body_time, read_body(limits, request)).await {
        Ok(Ok(request)) => request,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => {
            let detail = format!("the body did not arrive within {:?}", limits.body_time);
            return Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response();
        }
    };
    match timeout(limits.answer_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::unavailable("the answer took too long", Duration::from_secs(1)).into_response()
        }
    }
}

async fn read_body(limits: Limits, request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let announced = announced_length(&parts.headers);
    if announced.is_none() && !parts.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let too_large_at_once = announced.is_some_and(|length| length > limits.body_bytes as u64);
    if too_large_at_once && parts.headers.contains_key(EXPECT) {
        // The client asks before it sends: so it need not send.
        return Err(too_large(limits));
    }
    let body = collect(limits, body).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// hyper has checked the header; a request without it and without a transfer encoding has no body.
fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(limits: Limits, body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut collected = Vec::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::bad_request("the body broke off or is not encoded as announced")
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
