//! Clients that send a request until they get a response, always with the same `Idempotency-Key`.

use futures::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::Value;
use shared_events::{OrderId, Service};
use test_stack::eventually;

use super::{DEADLINE, INVENTORY, Instance, Shop};

/// A request that was answered with an order.
#[derive(Debug, Clone)]
pub struct AcceptedRequest {
    /// The customer id; each request of a test has its own.
    pub customer: String,
    /// The order of the response.
    pub order_id: OrderId,
    /// An earlier attempt created the order and its response was lost.
    pub repeated: bool,
    /// The number of attempts without a response.
    pub unanswered_attempts: usize,
}

/// The product of most orders.
pub const PRODUCT: &str = "prod_saga";

/// A request for an order. Its customer is unique, and is its `Idempotency-Key` too.
#[derive(Debug, Clone)]
pub struct Request {
    pub customer: String,
    pub product: &'static str,
    pub quantity: u32,
    pub amount: &'static str,
}

impl Request {
    pub fn new(product: &'static str, quantity: u32, amount: &'static str) -> Self {
        let customer = format!("cust_{:016x}", fastrand::u64(..));
        Self {
            customer,
            product,
            quantity,
            amount,
        }
    }

    /// Orders that are all paid; some are reserved, some refunded.
    pub fn paid(count: usize) -> Vec<Self> {
        let paid = |n| match n % 4 {
            0..=2 => Self::new(PRODUCT, 1 + n as u32 % 3, "20.50"),
            _ => Self::new("prod_unknown", 1, "30.00"),
        };
        (0..count).map(paid).collect()
    }

    /// Orders of all outcomes: reserved, out of stock, unknown product, declined.
    pub fn mixed(count: usize) -> Vec<Self> {
        let mixed = |n| match n % 8 {
            0..=4 => Self::new(PRODUCT, 1 + n as u32 % 3, "20.50"),
            5 => Self::new(PRODUCT, 9_999, "999.99"),
            6 => Self::new("prod_unknown", 1, "30.00"),
            _ => Self::new(PRODUCT, 1, "1500.00"),
        };
        (0..count).map(mixed).collect()
    }

    fn body(&self) -> String {
        let Self {
            customer,
            product,
            quantity,
            amount,
        } = self;
        format!(
            r#"{{"customerId": "{customer}", "productId": "{product}", "quantity": {quantity}, "amount": {amount}}}"#
        )
    }
}

impl Shop {
    /// Places an order at any instance that answers.
    pub async fn place(&self, request: &Request) -> AcceptedRequest {
        let of_orders = |who: &&Instance| who.0 == Service::Order;
        let instances: Vec<_> = self
            .known()
            .ports
            .keys()
            .filter(of_orders)
            .copied()
            .collect();
        self.place_at(&instances, request).await
    }

    /// Places an order at one of these instances; tries the next one after an attempt without a response.
    pub async fn place_at(&self, instances: &[Instance], request: &Request) -> AcceptedRequest {
        let mut turn = fastrand::usize(..instances.len());
        let mut unanswered_attempts = 0;
        let placed = eventually(DEADLINE, "an order is accepted", async || {
            let who = instances[turn % instances.len()];
            turn += 1;
            let post = self
                .http
                .post(format!("{}/orders", self.url(who)))
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", &request.customer)
                .body(request.body());
            let answer = post.send().await.map_err(|error| {
                // A refused connection carried no request.
                unanswered_attempts += usize::from(!error.is_connect());
                error.to_string()
            })?;
            let repeated = answer.headers().contains_key("idempotent-replayed");
            let status = answer.status();
            let body: Value = answer.json().await.map_err(|error| error.to_string())?;
            match status {
                StatusCode::ACCEPTED => Ok(AcceptedRequest {
                    customer: request.customer.clone(),
                    order_id: body["orderId"].as_str().unwrap().parse().unwrap(),
                    repeated,
                    unanswered_attempts,
                }),
                StatusCode::SERVICE_UNAVAILABLE => {
                    self.known().refused += 1;
                    Err(body.to_string())
                }
                other => panic!("{other}: {body}"),
            }
        })
        .await;
        self.known().placed.push(placed.clone());
        placed
    }

    /// Places orders, `at_once` in parallel.
    pub async fn place_all(&self, requests: &[Request], at_once: usize) -> Vec<AcceptedRequest> {
        let placing = stream::iter(requests.iter().map(|request| self.place(request)));
        placing.buffer_unordered(at_once).collect().await
    }

    /// The number of orders accepted so far.
    pub fn accepted(&self) -> usize {
        self.known().placed.len()
    }

    /// The accepted requests so far.
    pub fn placed(&self) -> Vec<AcceptedRequest> {
        self.known().placed.clone()
    }

    /// The number of 503 responses so far.
    pub fn refused(&self) -> usize {
        self.known().refused
    }

    /// The order as this instance of order-service returns it.
    pub async fn order(&self, who: Instance, id: OrderId) -> Result<Value, String> {
        let answer = self
            .http
            .get(format!("{}/orders/{id}", self.url(who)))
            .send()
            .await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    /// Waits until an order has this status, or any final status if `None`.
    pub async fn status(&self, who: Instance, id: OrderId, wanted: Option<&str>) -> Value {
        eventually(DEADLINE, &format!("{wanted:?} for {id}"), async || {
            let order = self.order(who, id).await?;
            let there = match wanted {
                Some(wanted) => order["status"] == wanted,
                None => order["waitingFor"].is_null(),
            };
            if there {
                Ok(order)
            } else {
                Err(order.to_string())
            }
        })
        .await
    }

    /// Places an order and waits until its saga has ended: every service works.
    pub async fn flows(&self, who: Instance) {
        let placed = self
            .place_at(&[who], &Request::new(PRODUCT, 1, "1.00"))
            .await;
        self.status(who, placed.order_id, None).await;
    }

    /// Sets the stock of a product.
    pub async fn restock(&self, product: &str, pieces: i64) {
        let url = format!("{}/products/{product}", self.url(INVENTORY));
        let quantity = serde_json::json!({ "quantity": pieces });
        let answer = self.http.put(&url).json(&quantity).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}
