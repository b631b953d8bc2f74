//! What a request may cost: the size of its body and the time it takes.
//!
//! A body is read whole before the router sees the request. All bodies here are small, and so no handler can be held up by a
//! client that sends slowly, nor by one that sends without end.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::timeout;

use crate::Problem;

/// Most bytes of a body.
pub(crate) const BODY_LIMIT: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a handler may take until its answer *begins*: longer than any wait for the database (`acquire_timeout` 3 s and
/// `statement_timeout` 10 s), so that a handler's own, better answer comes first. A stream may go on for longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of a body that is too large is read and thrown away before the answer. A connection closed over unread data is
/// reset, and the client would see that instead of the answer.
const DISCARD_LIMIT: usize = 1024 * 1024;

/// The layer's work: 413, 408 or 503 where a limit is passed.
pub(crate) async fn limit(request: Request, next: Next) -> Response {
    let request = match timeout(BODY_TIMEOUT, read_body(request)).await {
        Ok(Ok(request)) => request,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => {
            let detail = format!(
                "the body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            );
            return Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response();
        }
    };
    match timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::unavailable("the answer took too long", Duration::from_secs(1)).into_response()
        }
    }
}

async fn read_body(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    if matches!(parts.method, Method::GET | Method::HEAD)
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let too_large_at_once = announced.is_some_and(|length| length > BODY_LIMIT);
    if too_large_at_once && parts.headers.contains_key(EXPECT) {
        // The client asks before it sends: so it need not send.
        return Err(too_large());
    }
    let body = collect(body).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn collect(body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut collected = Vec::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|_| Problem::bad_request("the body ended before its announced length"))?;
        length += chunk.len();
        if length <= BODY_LIMIT {
            collected.extend_from_slice(&chunk);
        } else if length > DISCARD_LIMIT {
            break;
        }
    }
    if length > BODY_LIMIT {
        Err(too_large())
    } else {
        Ok(Bytes::from(collected))
    }
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body has at most {BODY_LIMIT} bytes"),
    )
}
