//! Customers of the shop: many connections that stay open, and as little work of our own as possible.

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
use serde::Deserialize;
use shared_events::OrderId;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use shared_events::http_api::{AcceptedOrder, OrderStatus, OrderView};
use stack::terminal::Usage;

/// Most connections to one instance. Below its own limit of 1024, so that others still reach it.
pub const CONNECTIONS: usize = 512;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Orders of a page when all are listed: the most that order-service gives.
const PAGE: usize = 200;

type Connection = SendRequest<String>;

/// One instance of order-service, and the connections to it that nobody uses now.
#[derive(Debug)]
struct Desk {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
}

/// Who orders, from all instances in turn.
#[derive(Debug)]
pub struct Customers {
    desks: Vec<Desk>,
    next: AtomicUsize,
    drivers: TaskTracker,
}

/// What became of an order that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// 202.
    Accepted(OrderId),
    /// 503: more than can be taken now.
    Refused,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    order_id: OrderId,
    status: OrderStatus,
}

#[derive(Deserialize)]
struct Page {
    orders: Vec<Listed>,
    next: Option<OrderId>,
}

impl Customers {
    /// Customers of the order-services at these addresses (`http://127.0.0.1:3000`), which must be this machine's own.
    pub fn new(urls: impl IntoIterator<Item = String>) -> Result<Self> {
        let desks: Vec<Desk> = urls
            .into_iter()
            .map(|url| Desk::at(&url))
            .collect::<Result<_>>()?;
        if desks.is_empty() {
            bail!("order-service does not run: ./sandbox up");
        }
        Ok(Self {
            desks,
            next: AtomicUsize::new(0),
            drivers: TaskTracker::new(),
        })
    }

    /// How many connections there can be.
    pub fn connections(&self) -> usize {
        self.desks.len() * CONNECTIONS
    }

    /// Orders one piece of the product that is there for load. `customer` is the name under which it can be listed.
    pub async fn place(&self, customer: &str) -> Result<Reply> {
        let body = format!(
            r#"{{"customerId":"{customer}","productId":"prod_burst","quantity":1,"amount":9.99}}"#
        );
        let (status, answer) = self.ask(Method::POST, "/orders", body).await?;
        match status {
            StatusCode::ACCEPTED => {
                let placed: AcceptedOrder = serde_json::from_slice(&answer)
                    .context("order-service answered 202 with something else than an order")?;
                Ok(Reply::Accepted(placed.order_id))
            }
            StatusCode::SERVICE_UNAVAILABLE => Ok(Reply::Refused),
            other => bail!(
                "order-service answered {other}: {}",
                String::from_utf8_lossy(&answer)
            ),
        }
    }

    /// The order as the shop tells it.
    pub async fn order(&self, id: OrderId) -> Result<OrderView> {
        let path = format!("/orders/{id}");
        let (status, answer) = self.ask(Method::GET, &path, String::new()).await?;
        if status != StatusCode::OK {
            bail!("order-service answered {status} to GET {path}");
        }
        serde_json::from_slice(&answer).context("order-service answered something unknown")
    }

    /// How many orders of this customer there are, and how many of them are `CONFIRMED`.
    pub async fn count(&self, customer: &str) -> Result<(usize, usize)> {
        let (mut all, mut confirmed) = (0, 0);
        let mut after = String::new();
        loop {
            let path = format!("/orders?customerId={customer}&limit={PAGE}{after}");
            let (status, answer) = self.ask(Method::GET, &path, String::new()).await?;
            if status != StatusCode::OK {
                bail!("order-service answered {status} to GET {path}");
            }
            let page: Page = serde_json::from_slice(&answer)?;
            all += page.orders.len();
            let ended = |one: &&Listed| one.status == OrderStatus::Confirmed;
            confirmed += page.orders.iter().filter(ended).count();
            match page.next.or(page.orders.last().map(|one| one.order_id)) {
                Some(next) if page.next.is_some() => after = format!("&after={next}"),
                _ => return Ok((all, confirmed)),
            }
        }
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.desks.len();
        let desk = self.desks.get(turn).context("no order-service")?;
        let asked = timeout(TIMEOUT, desk.ask(method, path, body, &self.drivers));
        let answer = asked
            .await
            .unwrap_or_else(|_| Err(anyhow!("no answer within {TIMEOUT:?}")));
        answer.with_context(|| format!("order-service at {} cannot be measured", desk.address))
    }
}

impl Desk {
    fn at(url: &str) -> Result<Self> {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let address: SocketAddr = address
            .parse()
            .with_context(|| format!("{url} is no address"))?;
        if !address.ip().is_loopback() {
            return Err(Usage::error(format_args!(
                "{address} is not on the loopback interface: load is made for this machine only"
            )));
        }
        Ok(Self {
            address,
            idle: Mutex::default(),
            room: Semaphore::new(CONNECTIONS),
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: String,
        drivers: &TaskTracker,
    ) -> Result<(StatusCode, Bytes)> {
        let _room = self.room.acquire().await?;
        let mut connection = match self.take() {
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

    /// One that was not closed meanwhile.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.is_closed())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // Every change is one push or one pop: a panicking task leaves nothing half-done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, drivers: &TaskTracker) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        // It ends with the connection, and whoever uses that sees its error.
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
    fn load_is_made_for_this_machine_only() {
        Customers::new(["http://127.0.0.1:3000".to_owned()]).unwrap();
        let error = Customers::new(["http://192.0.2.1:3000".to_owned()]).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
        assert!(error.to_string().contains("192.0.2.1:3000"), "{error}");
    }
}
