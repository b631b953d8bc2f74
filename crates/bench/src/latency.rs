//! How long an order takes at a steady rate: an open loop.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::SagaBench;
use super::http_client::PlaceOutcome;
use super::measurements::Measurements;
use shared_events::EventType;
use shared_events::http_api::{OrderStatus, OrderView};
use stack::shop_client::describe_order;

/// The longest time from an order's last event until `GET /orders/{id}` returns a final status.
const LAST_HOP: Duration = Duration::from_secs(30);

/// Polls of an order without a pause. An order that needs more is late, and polling it without a
/// pause would be a load of its own.
const POLLS_WITHOUT_PAUSE: u32 = 200;

/// The longest latency that the histogram distinguishes, microseconds: ten minutes.
const MAX_LATENCY_US: u64 = 600_000_000;

/// A load whose orders are due at a steady rate, whether or not earlier ones were answered.
#[derive(Debug, Clone, Copy)]
pub struct OpenLoop {
    /// Orders per second.
    pub rate: u32,
    /// The number of orders.
    pub orders: u64,
}

/// The times of one order, in milliseconds.
struct OrderLatency {
    /// From due to the response 202.
    accepted: f64,
    /// From due to the response `CONFIRMED`.
    confirmed: f64,
    /// Each from the end of the stage before.
    stages: Vec<(&'static str, f64)>,
}

/// Runs the load, and adds percentiles of POST→202 and POST→CONFIRMED and the median of each stage.
///
/// # Errors
/// An order was refused or did not end as `CONFIRMED`.
pub async fn measure(
    bench: &SagaBench,
    load: OpenLoop,
    measurements: &mut Measurements,
) -> Result<()> {
    let latencies = run(bench, load).await?;
    let at = format!("at {}/s", load.rate);
    let accepted = latencies.iter().map(|order| order.accepted);
    add_percentiles(measurements, &format!("POST→202 {at}"), accepted)?;
    let confirmed = latencies.iter().map(|order| order.confirmed);
    add_percentiles(measurements, &format!("POST→CONFIRMED {at}"), confirmed)?;
    let stages = latencies.first().map(|order| order.stages.len());
    for stage in 0..stages.unwrap_or_default() {
        let times = latencies.iter().filter_map(|order| order.stages.get(stage));
        let times: Vec<_> = times.copied().collect();
        if let Some((name, _)) = times.first() {
            let p50 = histogram(times.iter().map(|(_, ms)| *ms))?.value_at_quantile(0.5);
            measurements.add(format!("  of which {name}, p50"), "ms", p50 as f64 / 1e3);
        }
    }
    Ok(())
}

/// Runs the load, and returns the median of POST→CONFIRMED in milliseconds.
pub async fn median_confirmed_ms(bench: &SagaBench, load: OpenLoop) -> Result<f64> {
    let latencies = run(bench, load).await?;
    let confirmed = histogram(latencies.iter().map(|order| order.confirmed))?;
    Ok(confirmed.value_at_quantile(0.5) as f64 / 1e3)
}

fn add_percentiles(
    measurements: &mut Measurements,
    what: &str,
    values: impl Iterator<Item = f64>,
) -> Result<()> {
    let histogram = histogram(values)?;
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        let us = histogram.value_at_quantile(quantile);
        measurements.add(format!("{what}, {name}"), "ms", us as f64 / 1e3);
    }
    Ok(())
}

fn histogram(milliseconds: impl Iterator<Item = f64>) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_max(MAX_LATENCY_US, 3)?;
    for ms in milliseconds {
        histogram.saturating_record((ms * 1e3).max(0.0) as u64);
    }
    Ok(histogram)
}

async fn run(bench: &SagaBench, load: OpenLoop) -> Result<Vec<OrderLatency>> {
    bench.completions.clear()?;
    // A little in the future, so that the first order is not due before the thread has started.
    let start = Instant::now() + Duration::from_millis(50);
    let start_at = Utc::now() + Duration::from_millis(50);
    let permits = permits_when_due(load, start)?;
    let mut sagas = JoinSet::new();
    for number in 0..load.orders {
        permits.acquire().await?.forget();
        let offset = load.due(number);
        sagas.spawn(saga(bench.clone(), start + offset, start_at + offset));
    }
    let mut latencies = Vec::new();
    while let Some(latency) = sagas.join_next().await {
        latencies.push(latency.context("a task of the measurement failed")??);
    }
    Ok(latencies)
}

impl OpenLoop {
    /// When an order is due, from the start of the load.
    fn due(self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / f64::from(self.rate))
    }
}

/// A semaphore that gets a permit whenever an order is due. A thread adds the permits, because
/// tokio's timer ticks in whole milliseconds. The thread ends when the semaphore is dropped.
fn permits_when_due(load: OpenLoop, start: Instant) -> Result<Arc<Semaphore>> {
    let permits = Arc::new(Semaphore::new(0));
    let weak = Arc::downgrade(&permits);
    let add_permits = move || {
        for number in 0..load.orders {
            let due = start + load.due(number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Some(permits) = weak.upgrade() else {
                return;
            };
            permits.add_permits(1);
        }
    };
    let thread = thread::Builder::new().name("open-loop".to_owned());
    thread.spawn(add_permits).context("cannot start a thread")?;
    Ok(permits)
}

/// Places one order and waits until it is `CONFIRMED`.
async fn saga(bench: SagaBench, due: Instant, due_at: DateTime<Utc>) -> Result<OrderLatency> {
    let PlaceOutcome::Accepted(id) = bench.orders.place("bench_latency").await? else {
        bail!("order-service refused an order at this rate: choose a lower --rate");
    };
    let accepted = due.elapsed();
    let last_event = bench.completions.wait_one(id).await?;
    let deadline = Instant::now() + LAST_HOP;
    let mut polls = 0;
    let order = loop {
        let order = bench.orders.order(id).await?;
        if order.status.is_final() {
            break order;
        }
        polls += 1;
        if Instant::now() > deadline {
            bail!(
                "{}, although its last event was published: ./sandbox logs --order {id}",
                describe_order(&order)
            );
        }
        if polls > POLLS_WITHOUT_PAUSE {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let confirmed = due.elapsed();
    if order.status != OrderStatus::Confirmed {
        bail!(
            "{}; the benchmark needs stock of prod_burst: ./sandbox reset sets it",
            describe_order(&order)
        );
    }
    let last_event = last_event.saturating_duration_since(due);
    Ok(OrderLatency {
        accepted: milliseconds(accepted),
        confirmed: milliseconds(confirmed),
        stages: stages(&order, due_at, last_event, confirmed),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The stages between due and confirmed. The times of the facts are the times of their events, by
/// the clock of this machine. Those of payment-service and inventory-service are whole
/// milliseconds, and are taken when a record is created, before its transaction is committed.
fn stages(
    order: &OrderView,
    due_at: DateTime<Utc>,
    last_event: Duration,
    confirmed: Duration,
) -> Vec<(&'static str, f64)> {
    let names = [
        ("POST read", EventType::OrderCreated),
        ("commit, relay, payment", EventType::PaymentSucceeded),
        ("committed, stock reserved", EventType::InventoryReserved),
    ];
    let mut stages = Vec::new();
    let mut before = 0.0;
    for (name, event) in names {
        if let Some(fact) = order.facts.iter().find(|fact| fact.event == event) {
            let since = (fact.at - due_at).as_seconds_f64() * 1e3;
            stages.push((name, since - before));
            before = since;
        }
    }
    let last_event = milliseconds(last_event);
    stages.push(("committed, last event readable", last_event - before));
    stages.push(("fact stored and read", milliseconds(confirmed) - last_event));
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_order_is_sent_before_it_is_due() {
        let load = OpenLoop {
            rate: 100,
            orders: 3,
        };
        assert_eq!(load.due(2), Duration::from_millis(20));
        let start = Instant::now();
        let permits = permits_when_due(load, start).unwrap();
        for number in 0..3 {
            permits.acquire().await.unwrap().forget();
            assert!(start.elapsed() >= load.due(number));
        }
    }

    #[test]
    fn percentiles_are_milliseconds() {
        let mut measurements = Measurements::default();
        add_percentiles(&mut measurements, "x", (1..=100).map(f64::from)).unwrap();
        let all = measurements.summarize().unwrap();
        let median = |name: &str| all.iter().find(|one| one.name == name).unwrap().median;
        assert!((median("x, p50") - 50.0).abs() < 0.5 && (median("x, p99") - 99.0).abs() < 0.5);
        assert!((median("x, max") - 100.0).abs() < 0.5);
    }
}
