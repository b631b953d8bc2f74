//! How many orders a second the shop accepts, and how many sagas a second it finishes: a bounded
//! number of orders over many connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use shared_events::OrderId;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::http_client::PlaceOutcome;
use super::latency::OpenLoop;
use super::measurements::Measurements;
use super::usage::{self, THIS_PROGRAM, UsageDelta, UsageSample};
use super::{SagaBench, latency};
use stack::Stack;
use stack::shop_client::describe_order;

/// The pause of a connection after a 503.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);

/// Orders in flight at the same time. Enough for the shop to always find a full batch (500); more
/// orders in flight would only wait longer.
const CONCURRENCY: usize = 512;

/// The longest time from an order's last event until its status is final.
const LAST_HOP: Duration = Duration::from_secs(60);

/// A run at saturation: orders sent as fast as the shop answers.
#[derive(Debug, Clone)]
struct SaturationRun {
    /// The customer id of the orders.
    customer: Arc<str>,
    accepted: Vec<OrderId>,
    /// The number of orders answered with 503.
    refused: u64,
    /// From the first order until the last response.
    answered_after: Duration,
    /// From the first order until every saga had ended.
    ended_after: Duration,
}

/// Sends this many orders as fast as the shop answers, and waits until all sagas have ended, with
/// whatever status. [`SaturationRun::require_confirmed`] checks the status afterwards.
async fn saturate(bench: &SagaBench, orders: u64) -> Result<SaturationRun> {
    bench.completions.clear()?;
    let customer = Arc::<str>::from(format!("bench_{:08x}", fastrand::u32(..)));
    let left = Arc::new(AtomicU64::new(orders));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONCURRENCY.min(bench.orders.max_connections()) {
        tasks.spawn(place_while_left(
            bench.clone(),
            Arc::clone(&customer),
            Arc::clone(&left),
        ));
    }
    let (mut accepted, mut refused) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (ids, refusals) = done.context("a task of the measurement failed")??;
        accepted.extend(ids);
        refused += refusals;
    }
    let answered_after = start.elapsed();
    for id in bench.completions.wait_all(&accepted).await? {
        wait_final(bench, id).await?;
    }
    Ok(SaturationRun {
        customer,
        accepted,
        refused,
        answered_after,
        ended_after: start.elapsed(),
    })
}

/// Places orders one after the other until `left` is 0. Returns the accepted orders and the number
/// of refused ones.
async fn place_while_left(
    bench: SagaBench,
    customer: Arc<str>,
    left: Arc<AtomicU64>,
) -> Result<(Vec<OrderId>, u64)> {
    let (mut accepted, mut refused) = (Vec::new(), 0);
    let take = |left: u64| left.checked_sub(1);
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        match bench.orders.place(&customer).await? {
            PlaceOutcome::Accepted(id) => accepted.push(id),
            PlaceOutcome::Refused => {
                refused += 1;
                sleep(AFTER_REFUSAL).await;
            }
        }
    }
    Ok((accepted, refused))
}

async fn wait_final(bench: &SagaBench, id: OrderId) -> Result<()> {
    let deadline = Instant::now() + LAST_HOP;
    loop {
        let order = bench.orders.order(id).await?;
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

impl SaturationRun {
    /// Checks that every accepted order is listed as `CONFIRMED`. It runs after the measurement,
    /// because listing the orders costs the shop as much as some of the sagas.
    async fn require_confirmed(&self, bench: &SagaBench) -> Result<()> {
        let (customer, accepted) = (&self.customer, self.accepted.len());
        let (all, confirmed) = bench.orders.count_orders(customer).await?;
        if all != accepted || confirmed != accepted {
            bail!(
                "{accepted} orders of {customer} were accepted, {all} are listed and {confirmed} CONFIRMED, so the measurement is invalid"
            );
        }
        Ok(())
    }

    /// The share of all processors that other programs used in percent: the shop could not use it.
    fn others_percent(&self, used: &UsageDelta) -> f64 {
        let all = self.ended_after.as_secs_f64() * usage::processors() as f64;
        100.0 * used.others_s / all
    }
}

/// A run at saturation: orders and sagas per second, and the processor time of each process for one
/// saga.
///
/// # Errors
/// An accepted order did not end as `CONFIRMED`.
pub async fn measure(
    bench: &SagaBench,
    stack: &Stack<'_>,
    orders: u64,
    measurements: &mut Measurements,
) -> Result<()> {
    let load_average = usage::load_average()?;
    measurements.add("load average before saturation", "", load_average);
    let before = UsageSample::take(stack)?;
    let run = saturate(bench, orders).await?;
    let after = UsageSample::take(stack)?;
    run.require_confirmed(bench).await?;
    let sagas = run.accepted.len() as f64;
    let accepted = sagas / run.answered_after.as_secs_f64();
    measurements.add("accepted at saturation", "orders/s", accepted);
    let finished = sagas / run.ended_after.as_secs_f64();
    measurements.add("finished at saturation", "sagas/s", finished);
    measurements.add("refused at saturation", "orders", run.refused as f64);
    let used = after.since(&before);
    add_processor_time(&used, sagas, measurements);
    measurements.add(
        "processors taken by others meanwhile",
        "%",
        run.others_percent(&used),
    );
    Ok(())
}

fn add_processor_time(used: &UsageDelta, sagas: f64, measurements: &mut Measurements) {
    let us = 1e6 / sagas;
    let mut add = |of: &str, seconds: f64| {
        measurements.add(format!("processor time a saga: {of}"), "µs", seconds * us);
    };
    let (mut all, mut without_this_program) = (0.0, 0.0);
    for (name, seconds) in &used.by_process {
        add(name, *seconds);
        all += seconds;
        if name != THIS_PROGRAM {
            without_this_program += seconds;
        }
    }
    add("all of these", all);
    add("without this program", without_this_program);
}

/// A burst: the time until all its sagas have ended.
///
/// # Errors
/// An accepted order did not end as `CONFIRMED`.
pub async fn burst(bench: &SagaBench, orders: u64, measurements: &mut Measurements) -> Result<()> {
    let run = saturate(bench, orders).await?;
    run.require_confirmed(bench).await?;
    let name = format!("burst of {orders}: all ended after");
    measurements.add(name, "s", run.ended_after.as_secs_f64());
    Ok(())
}

/// One round of warm-up: a saturation and an open loop. Returns the median of POST→CONFIRMED in the
/// open loop, milliseconds.
pub async fn warmup_round(bench: &SagaBench) -> Result<f64> {
    let run = saturate(bench, 4_000).await?;
    run.require_confirmed(bench).await?;
    let load = OpenLoop {
        rate: 100,
        orders: 300,
    };
    latency::median_confirmed_ms(bench, load).await
}
