//! Serving HTTP/1.1 with a bound on everything: connections, headers, bodies, time, and the wait at the end.
//!
//! `axum::serve` has neither a time-out for headers nor a bound on connections, so the connections are served by hyper here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::guard::guard;
use crate::limits::{Limits, limit};
use crate::problem::fallbacks;
use crate::requests::{Requests, measure};

/// Most bytes hyper keeps per connection while it reads; headers beyond that are answered with 431.
const READ_BUFFER: usize = 64 * 1024;

/// After an error of `accept` that is not the connection's own fault (out of file descriptors): how long to wait for better
/// times instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a service cannot listen. The text names the port and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("port {} is taken: another process listens on {address}; stop it, or set PORT to a free one", address.port())]
    Taken {
        /// Where it should have listened.
        address: SocketAddr,
    },
    /// Anything else: a port below 1024 without the right to it, an address that is not this machine's.
    #[error("cannot listen on {address}; see BIND_ADDR and PORT")]
    Refused {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Listens on the address. Port 0 takes any free one; see `TcpListener::local_addr`.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken { address },
            _ => BindError::Refused { address, source },
        })
}

/// Serves the router until `shutdown`, then lets requests under way end for at most `drain`, and cuts off what is left.
///
/// Before the router sees a request it has passed the guard against web pages and the limits on body (16 KB, 10 s) and answer
/// (20 s until it begins). Unknown routes and methods are answered with problem documents. Every request is counted in
/// `requests`. A handler that streams must end its stream at `shutdown` by itself.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    requests: Requests,
    shutdown: CancellationToken,
    drain: Duration,
) {
    serve_within(Limits::SERVICE, listener, router, requests, shutdown, drain).await;
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    requests: Requests,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let router = fallbacks(router)
        .layer(from_fn_with_state(limits, limit))
        .layer(from_fn(guard))
        .layer(from_fn_with_state(requests, measure));
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
    // Nobody should find an open door here any more.
    drop(listener);
    let all_closed = async { while open.join_next().await.is_some() {} };
    if timeout(drain, all_closed).await.is_err() {
        tracing::warn!(
            connections = open.len(),
            drain.seconds = drain.as_secs_f64(),
            "connections cut off: they did not end in time"
        );
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
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
        tracing::debug!(%error, "a connection keeps its delay");
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
        // A client that went away or was too slow: its affair.
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
