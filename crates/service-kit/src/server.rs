//! HTTP/1.1 with limits on connections, headers, bodies and time, and on the wait at shutdown.
//!
//! `axum::serve` is not used: it has no time-out for headers and no limit on connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::host_origin_check::check_host_and_origin;
use crate::limits::{Limits, limit_body_and_response};
use crate::problem::with_problem_fallbacks;
use crate::request_metrics::{RequestMetrics, UNMATCHED, measure};

/// The read buffer of a connection. hyper answers 431 to larger headers.
const READ_BUFFER: usize = 64 * 1024;

/// The pause after an error of `accept` that does not belong to one connection, such as a lack of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a service cannot listen. The text names the port and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens on the port.
    #[error("port {} is taken: another process listens on {address}; stop it, or set PORT to a free one", address.port())]
    Taken {
        /// The address and port of the attempt.
        address: SocketAddr,
    },
    /// Any other error: a port below 1024 without the right to it, or an address of another
    /// machine.
    #[error("cannot listen on {address}; see BIND_ADDR and PORT")]
    Refused {
        /// The address and port of the attempt.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// Listens on the address. Port 0 takes a free port; see `TcpListener::local_addr`.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken { address },
            _ => BindError::Refused { address, source },
        })
}

/// Serves the router until `shutdown`, then waits up to `drain` for open requests, and closes the
/// remaining connections.
///
/// Every request passes the check of `Host` and `Origin` and the limits on the body (16 KB, 10 s)
/// and on the response (20 s until it begins). Every error is a problem document, also for unknown
/// routes and methods. Every request is counted in `metrics` and logged at level `debug`. A
/// streaming handler must end its stream at `shutdown`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    metrics: RequestMetrics,
    shutdown: CancellationToken,
    drain: Duration,
) {
    serve_with_limits(Limits::SERVICE, listener, router, metrics, shutdown, drain).await;
}

async fn serve_with_limits(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    metrics: RequestMetrics,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let router = with_layers(limits, router, metrics);
    let free = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    while let Some(stream) = shutdown.run_until_cancelled(accept(&listener)).await {
        let permit = shutdown
            .run_until_cancelled(Arc::clone(&free).acquire_owned())
            .await;
        let Some(Ok(permit)) = permit else {
            break;
        };
        let connection = serve_connection(limits, stream, router.clone(), shutdown.clone());
        open.spawn(async move {
            connection.await;
            drop(permit);
        });
        while open.try_join_next().is_some() {}
    }
    // New connections are refused during the drain.
    drop(listener);
    let all_closed = async { while open.join_next().await.is_some() {} };
    if timeout(drain, all_closed).await.is_err() {
        tracing::warn!(
            connections = open.len(),
            drain.seconds = drain.as_secs_f64(),
            "closing connections that did not end within the drain"
        );
    }
}

/// The last layer is the first to see a request.
fn with_layers(limits: Limits, router: Router, metrics: RequestMetrics) -> Router {
    // Failures are logged where they are handled, so only the response is an event here.
    let trace = TraceLayer::new_for_http()
        .make_span_with(request_span)
        .on_request(())
        .on_failure(());
    let router = with_problem_fallbacks(router)
        .layer(from_fn_with_state(limits, limit_body_and_response))
        .layer(from_fn(check_host_and_origin));
    // Without debug logging the layer would only cost time: it wraps each body.
    let router = if tracing::enabled!(tracing::Level::DEBUG) {
        router.layer(trace)
    } else {
        router
    };
    router.layer(from_fn_with_state(metrics, measure))
}

fn request_span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>();
    tracing::debug_span!(
        "request",
        http.request.method = %request.method(),
        http.route = route.map_or(UNMATCHED, MatchedPath::as_str),
    )
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if belongs_to_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn belongs_to_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn serve_connection(
    limits: Limits,
    stream: TcpStream,
    router: Router,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The client disconnected or was too slow.
        tracing::debug!(%error, "connection ended early");
    }
}

#[cfg(test)]
mod tests;
