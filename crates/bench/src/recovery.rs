//! How long a service that was killed is missed, when it is started again at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use shared_events::{OrderId, Service};
use tokio::time::sleep;

use super::Scene;
use super::figures::Figures;
use super::http_client::Reply;
use super::latency::{self, Pace};
use stack::instances::{InstanceId, READY_LIMIT};
use stack::{Stack, process_name};

/// Orders of one second before and after the kill: a service is missed by somebody.
const RATE: u32 = 50;

/// Longest wait for the first order to pass.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Kills an instance of inventory-service with SIGKILL under load and starts it again at once: the time from the kill until an
/// order placed after it has passed inventory-service. With one instance, that is until it consumes again; with more, until
/// the first partition is served again by anybody.
pub async fn measure(
    scene: &Scene,
    stack: &Stack<'_>,
    membership: &str,
    figures: &mut Figures,
) -> Result<()> {
    let instance = stack
        .started_instances(Service::Inventory)?
        .into_iter()
        .next();
    let slot: InstanceId = instance
        .map(|one| (one.workload, one.slot))
        .context("inventory-service does not run: ./sandbox up")?;
    let before = Pace {
        rate: RATE,
        orders: u64::from(RATE) * 2,
    };
    latency::middle(scene, before).await?;
    scene.ends.forget()?;

    let killed = Instant::now();
    {
        let _lock = stack.lock().await?;
        stack.processes.kill(&process_name(slot.0, slot.1)).await?;
        stack.start_instance(slot).await?;
    }
    let started = killed.elapsed();
    let (orders, back) = orders_until_back(scene).await?;
    scene.ends.of_all(&orders).await?;
    stack.wait_ready(&[slot], READY_LIMIT, &|_, _| {}).await?;
    let name = format!("kill -9 to consuming again, {membership}");
    let missed = back.saturating_duration_since(killed);
    figures.add(name, "s", missed.as_secs_f64());
    let name = format!("  of which until it was started, {membership}");
    figures.add(name, "s", started.as_secs_f64());
    Ok(())
}

/// Orders at a steady rate until the first of them has passed; all of them, and when that was.
async fn orders_until_back(scene: &Scene) -> Result<(Vec<OrderId>, Instant)> {
    let mut orders = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match scene.customers.place("bench_recovery").await? {
            Reply::Accepted(id) => orders.push(id),
            Reply::Refused => bail!("order-service refused an order"),
        }
        sleep(Duration::from_secs(1) / RATE).await;
        if let Some(back) = scene.ends.first_of(&orders)? {
            return Ok((orders, back));
        }
        if Instant::now() > deadline {
            let seconds = TIMEOUT.as_secs();
            bail!("no order has passed inventory-service for {seconds} s: ./sandbox status");
        }
    }
}
