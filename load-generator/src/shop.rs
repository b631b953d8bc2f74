//! A load over HTTP: `POST /orders` of order-service, as customers do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::kafka::{GRACE, Stop};
use crate::orders::{NewOrder, Orders};
use crate::plan::{Before, Plan};
use crate::tally::Tally;

/// Most requests on their way at a time: half of the connections that order-service serves, and below its full batch of 500.
const CONNECTIONS: u32 = 256;

/// How long an answer may take; order-service itself gives up after 20 s.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long it may take to find out that nobody is there.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes a request repeatable.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Customers of one shop.
pub struct Shop {
    client: Client,
    orders: Url,
    free: Arc<Semaphore>,
    /// What became of their orders.
    pub tally: Arc<Tally>,
}

impl Shop {
    /// The shop at this address, if anybody listens there.
    pub async fn open(url: &Url) -> Result<Self> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .pool_max_idle_per_host(CONNECTIONS as usize)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        let shop = Self {
            client,
            orders: url
                .join("orders")
                .context("ORDER_URL is no base of a URL")?,
            free: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            tally: Arc::default(),
        };
        let alive = url
            .join("health/live")
            .context("ORDER_URL is no base of a URL")?;
        if let Err(error) = shop.client.get(alive).timeout(CONNECT).send().await {
            let cause = root(&error);
            bail!(
                "no order-service answers at {url}: {cause} (ORDER_URL; is it running? ./sandbox up)"
            );
        }
        Ok(shop)
    }

    /// Sends the orders of a plan, and returns when all that were sent are answered; sends no more when it is told to stop, or,
    /// unless the loop is open, when one has failed. Says how many were sent.
    pub async fn run(&self, plan: &Plan, orders: &mut Orders, stop: &Stop) -> u64 {
        let (begun, mut sent) = (Instant::now(), 0);
        let give_up = plan.time().map(|time| begun + time + GRACE);
        let mut waiting = JoinSet::new();
        for n in 0..plan.count() {
            let Some(due) = self.due(plan, n, begun, &mut waiting, stop).await else {
                break;
            };
            let permit = tokio::select! {
                permit = Arc::clone(&self.free).acquire_owned() => permit,
                () = stop.asked.cancelled() => break,
            };
            let late = give_up.is_some_and(|at| Instant::now() > at);
            let failed = !matches!(plan, Plan::Open(_)) && self.tally.has_failed();
            let Ok(permit) = permit else { break };
            if late || failed || stop.is_asked() {
                break;
            }
            waiting.spawn(self.request(orders, due, permit));
            sent += 1;
            while waiting.try_join_next().is_some() {}
        }
        while waiting.join_next().await.is_some() {}
        sent
    }

    /// When order `n` is due, once it is; `None` if nothing more is to be sent.
    async fn due(
        &self,
        plan: &Plan,
        n: u64,
        begun: Instant,
        waiting: &mut JoinSet<()>,
        stop: &Stop,
    ) -> Option<Instant> {
        let wait = async {
            match plan.before(n) {
                Before::Nothing => Instant::now(),
                Before::Pause(pause) => {
                    sleep(pause).await;
                    Instant::now()
                }
                Before::Acknowledged => {
                    while waiting.join_next().await.is_some() {}
                    Instant::now()
                }
                Before::Due(due) => {
                    sleep_until((begun + due).into()).await;
                    begun + due
                }
            }
        };
        stop.asked.run_until_cancelled(wait).await
    }

    /// One order. Its id, which order-service does not take, makes the request repeatable.
    fn request(
        &self,
        orders: &mut Orders,
        due: Instant,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<> {
        let order = orders.next(Utc::now());
        let request = self
            .client
            .post(self.orders.clone())
            .header(IDEMPOTENCY_KEY, format!("load-{}", order.order_id))
            .json(&NewOrder::from(&order));
        let tally = Arc::clone(&self.tally);
        async move {
            match request.send().await {
                Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                    tally.acknowledged(Instant::now(), due.elapsed(), None);
                }
                Ok(answer) => tally.failed(|| format!("order-service answers {}", answer.status())),
                Err(error) => tally.failed(|| root(&error)),
            }
            drop(permit);
        }
    }
}

/// The innermost cause, which says what happened.
fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
