//! How much the shop takes, and how much it finishes: a bounded number of orders over many connections.

use stack::shop_client::describe_order;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use shared_events::OrderId;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::figures::Figures;
use super::http_client::Reply;
use super::usage::{self, OURSELVES, Sample};
use super::{Scene, latency};
use stack::Stack;

/// How long a customer waits after a 503 before the next order.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);

/// Customers who order at the same time. Enough that the shop always finds a full batch (500); more would only wait.
const CUSTOMERS: usize = 512;

/// Longest time from an order's last event to its end.
const LAST_HOP: Duration = Duration::from_secs(60);

/// What became of a crowd's orders.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The name under which they were ordered.
    customer: Arc<str>,
    /// Orders that were accepted.
    pub accepted: Vec<OrderId>,
    /// Orders answered with 503.
    pub refused: u64,
    /// From the first order until the last answer.
    pub answered_after: Duration,
    /// From the first order until every saga had ended.
    pub ended_after: Duration,
}

/// Sends this many orders as fast as the shop answers, and waits until all sagas have ended, well or not:
/// [`Outcome::require_confirmed`] is for afterwards.
pub async fn crowd(scene: &Scene, orders: u64) -> Result<Outcome> {
    scene.ends.forget()?;
    let customer = Arc::<str>::from(format!("bench_{:08x}", fastrand::u32(..)));
    let left = Arc::new(AtomicU64::new(orders));
    let begun = Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..CUSTOMERS.min(scene.customers.connections()) {
        crowd.spawn(order_on(
            scene.clone(),
            Arc::clone(&customer),
            Arc::clone(&left),
        ));
    }
    let (mut accepted, mut refused) = (Vec::new(), 0);
    while let Some(done) = crowd.join_next().await {
        let (these, not) = done.context("a task of the measurement broke off")??;
        accepted.extend(these);
        refused += not;
    }
    let answered_after = begun.elapsed();
    for id in scene.ends.of_all(&accepted).await? {
        reach_end(scene, id).await?;
    }
    Ok(Outcome {
        customer,
        accepted,
        refused,
        answered_after,
        ended_after: begun.elapsed(),
    })
}

/// One customer: orders as long as there is something left to order.
async fn order_on(
    scene: Scene,
    customer: Arc<str>,
    left: Arc<AtomicU64>,
) -> Result<(Vec<OrderId>, u64)> {
    let (mut accepted, mut refused) = (Vec::new(), 0);
    let take = |left: u64| left.checked_sub(1);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        match scene.customers.place(&customer).await? {
            Reply::Accepted(id) => accepted.push(id),
            Reply::Refused => {
                refused += 1;
                sleep(AFTER_REFUSAL).await;
            }
        }
    }
    Ok((accepted, refused))
}

async fn reach_end(scene: &Scene, id: OrderId) -> Result<()> {
    let deadline = Instant::now() + LAST_HOP;
    loop {
        let order = scene.customers.order(id).await?;
        if order.status.is_final() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "{}, although its last event was published: ./sandbox logs --order {id}",
                describe_order(&order)
            );
        }
        sleep(Duration::from_millis(2)).await;
    }
}

impl Outcome {
    /// The proof of the figures: every accepted order is there, and ended well. Not part of what is measured: listing them costs
    /// the shop as much as some of its sagas do.
    pub async fn require_confirmed(&self, scene: &Scene) -> Result<()> {
        let (customer, accepted) = (&self.customer, self.accepted.len());
        let (all, confirmed) = scene.customers.count(customer).await?;
        if all != accepted || confirmed != accepted {
            bail!(
                "{accepted} orders of {customer} were accepted, {all} are listed and {confirmed} CONFIRMED: this is no figure but a fault"
            );
        }
        Ok(())
    }
}

/// A run at saturation: orders and sagas per second, and what each saga cost whom.
pub async fn measure(
    scene: &Scene,
    stack: &Stack<'_>,
    orders: u64,
    figures: &mut Figures,
) -> Result<()> {
    figures.add("load average before saturation", "", usage::load()?);
    let before = Sample::take(stack)?;
    let outcome = crowd(scene, orders).await?;
    let after = Sample::take(stack)?;
    outcome.require_confirmed(scene).await?;
    let sagas = outcome.accepted.len() as f64;
    let per_second = |after: Duration| sagas / after.as_secs_f64();
    figures.add(
        "accepted at saturation",
        "orders/s",
        per_second(outcome.answered_after),
    );
    figures.add(
        "finished at saturation",
        "sagas/s",
        per_second(outcome.ended_after),
    );
    figures.add("refused at saturation", "orders", outcome.refused as f64);
    let used = after.since(&before);
    let (mut all, us) = (0.0, 1e6 / sagas);
    for (name, seconds) in &used.by_process {
        figures.add(format!("processor time a saga: {name}"), "µs", seconds * us);
        all += seconds;
    }
    figures.add("processor time a saga: all of these", "µs", all * us);
    let services = used
        .by_process
        .iter()
        .filter(|(name, _)| *name != OURSELVES);
    let services: f64 = services.map(|(_, seconds)| seconds).sum();
    figures.add(
        "processor time a saga: without this program",
        "µs",
        services * us,
    );
    figures.add(
        "processors taken by others meanwhile",
        "%",
        others(&used, &outcome),
    );
    Ok(())
}

/// Of all processors, what was not ours; it was not there to be measured.
fn others(used: &usage::Used, outcome: &Outcome) -> f64 {
    let all = outcome.ended_after.as_secs_f64() * usage::cores() as f64;
    100.0 * used.others_s / all
}

/// A burst: how long until all these sagas have ended.
pub async fn burst(scene: &Scene, orders: u64, figures: &mut Figures) -> Result<()> {
    let outcome = crowd(scene, orders).await?;
    outcome.require_confirmed(scene).await?;
    let name = format!("burst of {orders}: all ended after");
    figures.add(name, "s", outcome.ended_after.as_secs_f64());
    Ok(())
}

/// Some load of both kinds, and the middle of POST→CONFIRMED in it, milliseconds.
pub async fn mixed(scene: &Scene) -> Result<f64> {
    let outcome = crowd(scene, 4_000).await?;
    outcome.require_confirmed(scene).await?;
    let pace = latency::Pace {
        rate: 100,
        orders: 300,
    };
    latency::middle(scene, pace).await
}
