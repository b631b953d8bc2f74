//! Orders over HTTP: `POST /orders` to order-service, as customers send them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use reqwest::{Client, StatusCode, Url};
use shared_events::http_api::{IDEMPOTENCY_KEY, NewOrder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::delivery_stats::DeliveryStats;
use crate::kafka_target::{MAX_DELAY, StopSignal};
use crate::load_plan::{LoadPlan, SendWhen};
use crate::order_generator::OrderGenerator;

/// Most requests in flight: fewer than order-service has connections, and than its batches have
/// requests (500).
const CONNECTIONS: u32 = 256;

/// How long a response may take; order-service's own limit is 20 s.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(25);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One order-service.
pub struct HttpTarget {
    client: Client,
    orders_url: Url,
    permits: Arc<Semaphore>,
    pub stats: Arc<DeliveryStats>,
}

impl HttpTarget {
    /// Fails with one line if nothing answers at this address.
    pub async fn connect(url: &Url) -> Result<Self> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            .pool_max_idle_per_host(CONNECTIONS as usize)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        let join = |path| url.join(path).context("ORDER_URL is no base of a URL");
        let health = client.get(join("health/live")?).timeout(CONNECT_TIMEOUT);
        if let Err(error) = health.send().await {
            let cause = root_cause(&error);
            bail!(
                "no order-service answers at {url}: {cause} (ORDER_URL; is it running? ./sandbox up)"
            );
        }
        Ok(Self {
            client,
            orders_url: join("orders")?,
            permits: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            stats: Arc::default(),
        })
    }

    /// Sends the orders of a plan and waits for their responses. Sends no further order after it is
    /// stopped or, except for an open loop, after an order has failed. Returns how many were sent.
    pub async fn run(
        &self,
        plan: &LoadPlan,
        orders: &mut OrderGenerator,
        stop: &StopSignal,
    ) -> u64 {
        let (started, mut sent) = (Instant::now(), 0);
        let give_up_at = plan.duration().map(|time| started + time + MAX_DELAY);
        let mut in_flight = JoinSet::new();
        for n in 0..plan.count() {
            let Some(due) = wait_until_due(plan, n, started, &mut in_flight, stop).await else {
                break;
            };
            let permit = tokio::select! {
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
                () = stop.token.cancelled() => break,
            };
            let too_late = give_up_at.is_some_and(|at| Instant::now() > at);
            let failed = !matches!(plan, LoadPlan::Open(_)) && self.stats.has_failed();
            let Ok(permit) = permit else { break };
            if too_late || failed || stop.is_set() {
                break;
            }
            in_flight.spawn(self.request(orders, due, permit));
            sent += 1;
            while in_flight.try_join_next().is_some() {}
        }
        while in_flight.join_next().await.is_some() {}
        sent
    }

    /// Sends one order. The idempotency key is the generated order id, which order-service does not
    /// use, so every order has a key of its own.
    fn request(
        &self,
        orders: &mut OrderGenerator,
        due: Instant,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<> {
        let order = orders.next(Utc::now());
        let request = self
            .client
            .post(self.orders_url.clone())
            .header(IDEMPOTENCY_KEY, format!("load-{}", order.order_id))
            .json(&NewOrder::from(order));
        let stats = Arc::clone(&self.stats);
        async move {
            match request.send().await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    stats.add_acknowledged(Instant::now(), due.elapsed(), None);
                }
                Ok(response) => {
                    stats.add_failed(|| format!("order-service answers {}", response.status()));
                }
                Err(error) => stats.add_failed(|| root_cause(&error)),
            }
            drop(permit);
        }
    }
}

/// Waits until order `n` may be sent, and returns when it was due; `None` if the load was stopped.
async fn wait_until_due(
    plan: &LoadPlan,
    n: u64,
    started: Instant,
    in_flight: &mut JoinSet<()>,
    stop: &StopSignal,
) -> Option<Instant> {
    let wait = async {
        match plan.send_when(n) {
            SendWhen::Now => Instant::now(),
            SendWhen::AfterPause(pause) => {
                sleep(pause).await;
                Instant::now()
            }
            SendWhen::AllAcknowledged => {
                while in_flight.join_next().await.is_some() {}
                Instant::now()
            }
            SendWhen::Due(due) => {
                sleep_until((started + due).into()).await;
                started + due
            }
        }
    };
    stop.token.run_until_cancelled(wait).await
}

/// The innermost cause: reqwest's own text only repeats the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
