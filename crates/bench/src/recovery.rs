//! How long a service is missing after it was killed, if it is restarted at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use shared_events::{OrderId, Service};
use tokio::time::sleep;

use super::SagaBench;
use super::http_client::PlaceOutcome;
use super::latency::{self, OpenLoop};
use super::measurements::Measurements;
use stack::instances::{InstanceId, READY_LIMIT};
use stack::{Stack, process_name};

/// Orders per second before and after the kill.
const RATE: u32 = 50;

/// The longest wait until the first order has passed inventory-service.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Kills an instance of inventory-service with SIGKILL under load and restarts it at once. The
/// figure is the time from the kill until an order placed after the kill has passed
/// inventory-service. With one instance, that is until the instance consumes again. With more
/// instances, that is until any instance consumes the first partition again. `membership` becomes
/// part of the figures' names.
pub async fn measure(
    bench: &SagaBench,
    stack: &Stack<'_>,
    membership: &str,
    measurements: &mut Measurements,
) -> Result<()> {
    let instance = stack
        .started_instances(Service::Inventory)?
        .into_iter()
        .next();
    let instance: InstanceId = instance
        .map(|one| (one.workload, one.slot))
        .context("inventory-service does not run: ./sandbox up")?;
    let load = OpenLoop {
        rate: RATE,
        orders: u64::from(RATE) * 2,
    };
    latency::median_confirmed_ms(bench, load).await?;
    bench.completions.clear()?;

    let killed = Instant::now();
    {
        let _lock = stack.lock().await?;
        let name = process_name(instance.0, instance.1);
        stack.processes.kill(&name).await?;
        stack.start_instance(instance).await?;
    }
    let started = killed.elapsed();
    let (orders, recovered) = place_until_recovered(bench).await?;
    bench.completions.wait_all(&orders).await?;
    stack
        .wait_ready(&[instance], READY_LIMIT, &|_, _| {})
        .await?;
    let name = format!("kill -9 to consuming again, {membership}");
    let missing = recovered.saturating_duration_since(killed);
    measurements.add(name, "s", missing.as_secs_f64());
    let name = format!("  of which until it was started, {membership}");
    measurements.add(name, "s", started.as_secs_f64());
    Ok(())
}

/// Places orders at a steady rate until the first of them has passed inventory-service. Returns all
/// orders, and when the first one had passed.
async fn place_until_recovered(bench: &SagaBench) -> Result<(Vec<OrderId>, Instant)> {
    let mut orders = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match bench.orders.place("bench_recovery").await? {
            PlaceOutcome::Accepted(id) => orders.push(id),
            PlaceOutcome::Refused => bail!("order-service refused an order"),
        }
        sleep(Duration::from_secs(1) / RATE).await;
        if let Some(recovered) = bench.completions.earliest(&orders)? {
            return Ok((orders, recovered));
        }
        if Instant::now() > deadline {
            let seconds = TIMEOUT.as_secs();
            bail!("no order has passed inventory-service for {seconds} s: ./sandbox status");
        }
    }
}
