//! Places and reads orders over many connections that stay open. It works on hyper's connections
//! directly, because each client-side instruction takes processor time from the shop under test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use shared_events::OrderId;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use shared_events::http_api::{AcceptedOrder, OrderPage, OrderStatus, OrderView};
use stack::terminal::Usage;

/// The highest number of connections to one instance. It is below the instance's own limit of 1024,
/// so that other clients can still connect.
const CONNECTIONS_PER_INSTANCE: usize = 512;

/// How long one response may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The orders of one page of a listing: the highest number that order-service returns.
const PAGE: usize = 200;

type Connection = SendRequest<String>;

/// One instance of order-service with its connection pool.
#[derive(Debug)]
struct Endpoint {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
    /// One permit for each request in flight.
    permits: Semaphore,
}

/// Places orders, and sends each request to the next instance of order-service (round robin).
#[derive(Debug)]
pub struct OrderClient {
    endpoints: Vec<Endpoint>,
    next: AtomicUsize,
    drivers: TaskTracker,
}

/// The response to a POST of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceOutcome {
    /// 202.
    Accepted(OrderId),
    /// 503: order-service is overloaded.
    Refused,
}

impl OrderClient {
    /// A client for the instances of order-service at these URLs (`http://127.0.0.1:3000`).
    ///
    /// # Errors
    /// There is no URL, or a URL is not on the loopback interface.
    pub fn new(urls: impl IntoIterator<Item = String>) -> Result<Self> {
        let endpoints: Vec<Endpoint> = urls
            .into_iter()
            .map(|url| Endpoint::new(&url))
            .collect::<Result<_>>()?;
        if endpoints.is_empty() {
            bail!("order-service does not run: ./sandbox up");
        }
        Ok(Self {
            endpoints,
            next: AtomicUsize::new(0),
            drivers: TaskTracker::new(),
        })
    }

    /// The highest number of connections to all instances together.
    pub fn max_connections(&self) -> usize {
        self.endpoints.len() * CONNECTIONS_PER_INSTANCE
    }

    /// Orders one piece of `prod_burst`. [`OrderClient::count_orders`] counts by `customer`.
    pub async fn place(&self, customer: &str) -> Result<PlaceOutcome> {
        let body = format!(
            r#"{{"customerId":"{customer}","productId":"prod_burst","quantity":1,"amount":9.99}}"#
        );
        let (status, response) = self.send(Method::POST, "/orders", body).await?;
        match status {
            StatusCode::ACCEPTED => {
                let accepted: AcceptedOrder = serde_json::from_slice(&response)
                    .context("order-service answered 202 with an invalid body")?;
                Ok(PlaceOutcome::Accepted(accepted.order_id))
            }
            StatusCode::SERVICE_UNAVAILABLE => Ok(PlaceOutcome::Refused),
            other => bail!(
                "order-service answered {other}: {}",
                String::from_utf8_lossy(&response)
            ),
        }
    }

    /// `GET /orders/{id}`.
    pub async fn order(&self, id: OrderId) -> Result<OrderView> {
        let path = format!("/orders/{id}");
        let response = self.get(&path).await?;
        serde_json::from_slice(&response)
            .with_context(|| format!("order-service answered GET {path} with an invalid body"))
    }

    /// The number of orders of this customer, and how many of them are `CONFIRMED`.
    pub async fn count_orders(&self, customer: &str) -> Result<(usize, usize)> {
        let (mut all, mut confirmed) = (0, 0);
        let mut after = String::new();
        loop {
            let path = format!("/orders?customerId={customer}&limit={PAGE}{after}");
            let page: OrderPage = serde_json::from_slice(&self.get(&path).await?)?;
            all += page.orders.len();
            let is_confirmed = |order: &&OrderView| order.status == OrderStatus::Confirmed;
            confirmed += page.orders.iter().filter(is_confirmed).count();
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok((all, confirmed)),
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        let (status, response) = self.send(Method::GET, path, String::new()).await?;
        if status != StatusCode::OK {
            bail!("order-service answered {status} to GET {path}");
        }
        Ok(response)
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.endpoints.len();
        let endpoint = self
            .endpoints
            .get(index)
            .context("no instance of order-service")?;
        let sent = timeout(TIMEOUT, endpoint.send(method, path, body, &self.drivers));
        let response = sent
            .await
            .unwrap_or_else(|_| Err(anyhow!("no response within {TIMEOUT:?}")));
        response
            .with_context(|| format!("order-service at {} cannot be measured", endpoint.address))
    }
}

impl Endpoint {
    fn new(url: &str) -> Result<Self> {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let address: SocketAddr = address
            .parse()
            .with_context(|| format!("{url} is no address"))?;
        if !address.ip().is_loopback() {
            return Err(Usage::error(format_args!(
                "{address} is not on the loopback interface: a benchmark sends load to this machine only"
            )));
        }
        Ok(Self {
            address,
            idle: Mutex::default(),
            permits: Semaphore::new(CONNECTIONS_PER_INSTANCE),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
        drivers: &TaskTracker,
    ) -> Result<(StatusCode, Bytes)> {
        let _permit = self.permits.acquire().await?;
        let mut connection = match self.take_idle() {
            Some(idle) => idle,
            None => self.connect(drivers).await?,
        };
        connection.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(body)?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.idle().push(connection);
        Ok((head.status, body))
    }

    /// An idle connection that the server has not closed.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.is_closed())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // Every change is one push or one pop, so a panicking task leaves no half-done change.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, drivers: &TaskTracker) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        // The task ends with the connection. The request that uses the connection returns its
        // error.
        drivers.spawn(async move {
            let _ = driver.await;
        });
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_accepted() {
        OrderClient::new(["http://127.0.0.1:3000".to_owned()]).unwrap();
        let error = OrderClient::new(["http://192.0.2.1:3000".to_owned()]).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
        assert!(error.to_string().contains("192.0.2.1:3000"), "{error}");
    }
}
