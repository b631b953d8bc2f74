//! How long an order takes, at a steady rate: an open loop.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Scene;
use super::figures::Figures;
use super::http_client::Reply;
use shared_events::EventType;
use shared_events::http_api::{OrderStatus, OrderView};
use stack::shop_client::describe_order;

/// Longest time from an order's last event to its end at `GET /orders/{id}`.
const LAST_HOP: Duration = Duration::from_secs(30);

/// Questions that follow one another at once; after that many something is wrong, and asking on would be a load of its own.
const EAGER_QUESTIONS: u32 = 200;

/// Longest time that is told apart, microseconds: ten minutes.
const LONGEST_US: u64 = 600_000_000;

/// How often an order is due.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Orders per second.
    pub rate: u32,
    /// How many in all.
    pub orders: u64,
}

/// The way of one order, in milliseconds, each from the moment before.
struct Course {
    /// From due to the answer 202.
    accepted: f64,
    /// From due to the end.
    confirmed: f64,
    stages: Vec<(&'static str, f64)>,
}

/// Orders at this pace, and how long they took: percentiles into `figures`.
pub async fn measure(scene: &Scene, pace: Pace, figures: &mut Figures) -> Result<()> {
    let courses = courses(scene, pace).await?;
    let at = format!("at {}/s", pace.rate);
    let accepted = courses.iter().map(|course| course.accepted);
    percentiles(figures, &format!("POST→202 {at}"), accepted)?;
    let confirmed = courses.iter().map(|course| course.confirmed);
    percentiles(figures, &format!("POST→CONFIRMED {at}"), confirmed)?;
    let stages = courses.first().map(|course| course.stages.len());
    for stage in 0..stages.unwrap_or_default() {
        let these = courses.iter().filter_map(|course| course.stages.get(stage));
        let these: Vec<_> = these.copied().collect();
        if let Some((name, _)) = these.first() {
            let p50 = histogram(these.iter().map(|(_, ms)| *ms))?.value_at_quantile(0.5);
            figures.add(format!("  of which {name}, p50"), "ms", p50 as f64 / 1e3);
        }
    }
    Ok(())
}

/// The middle of POST→CONFIRMED, milliseconds.
pub async fn middle(scene: &Scene, pace: Pace) -> Result<f64> {
    let courses = courses(scene, pace).await?;
    let confirmed = histogram(courses.iter().map(|course| course.confirmed))?;
    Ok(confirmed.value_at_quantile(0.5) as f64 / 1e3)
}

fn percentiles(figures: &mut Figures, what: &str, values: impl Iterator<Item = f64>) -> Result<()> {
    let histogram = histogram(values)?;
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        let us = histogram.value_at_quantile(quantile);
        figures.add(format!("{what}, {name}"), "ms", us as f64 / 1e3);
    }
    Ok(())
}

fn histogram(milliseconds: impl Iterator<Item = f64>) -> Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_max(LONGEST_US, 3)?;
    for ms in milliseconds {
        histogram.saturating_record((ms * 1e3).max(0.0) as u64);
    }
    Ok(histogram)
}

async fn courses(scene: &Scene, pace: Pace) -> Result<Vec<Course>> {
    scene.ends.forget()?;
    // A little ahead, so that the first order is due when everybody is there.
    let begun = Instant::now() + Duration::from_millis(50);
    let begun_at = Utc::now() + Duration::from_millis(50);
    let gate = gate(pace, begun)?;
    let mut sagas = JoinSet::new();
    for number in 0..pace.orders {
        gate.acquire().await?.forget();
        let after = due(pace, number);
        sagas.spawn(saga(scene.clone(), begun + after, begun_at + after));
    }
    let mut courses = Vec::new();
    while let Some(course) = sagas.join_next().await {
        courses.push(course.context("a task of the measurement broke off")??);
    }
    Ok(courses)
}

fn due(pace: Pace, number: u64) -> Duration {
    Duration::from_secs_f64(number as f64 / f64::from(pace.rate))
}

/// A permit for each order when it is due. On a thread of its own, since tokio's clock ticks in whole milliseconds. It ends
/// when nobody waits at the gate any more.
fn gate(pace: Pace, begun: Instant) -> Result<Arc<Semaphore>> {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::downgrade(&gate);
    let keep = move || {
        for number in 0..pace.orders {
            let due = begun + due(pace, number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Some(gate) = open.upgrade() else { return };
            gate.add_permits(1);
        }
    };
    let keeper = thread::Builder::new().name("pace".to_owned());
    keeper.spawn(keep).context("cannot start a thread")?;
    Ok(gate)
}

async fn saga(scene: Scene, due: Instant, due_at: DateTime<Utc>) -> Result<Course> {
    let Reply::Accepted(id) = scene.customers.place("bench_latency").await? else {
        bail!("order-service refused an order at this rate: choose a lower --rate");
    };
    let accepted = due.elapsed();
    let visible = scene.ends.of_order(id).await?;
    let deadline = Instant::now() + LAST_HOP;
    let mut questions = 0;
    let order = loop {
        let order = scene.customers.order(id).await?;
        if order.status.is_final() {
            break order;
        }
        questions += 1;
        if Instant::now() > deadline {
            bail!(
                "{}, although its last event was published: ./sandbox logs --order {id}",
                describe_order(&order)
            );
        }
        if questions > EAGER_QUESTIONS {
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
    let visible = visible.saturating_duration_since(due);
    Ok(Course {
        accepted: milliseconds(accepted),
        confirmed: milliseconds(confirmed),
        stages: stages(&order, due_at, visible, confirmed),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Where the time went. The facts' times are the ones of the events, by the clock of this machine: payment-service's and
/// inventory-service's are whole milliseconds, and are taken when a record is made, before its transaction is committed.
fn stages(
    order: &OrderView,
    due_at: DateTime<Utc>,
    visible: Duration,
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
    let visible = milliseconds(visible);
    stages.push(("committed, last event readable", visible - before));
    stages.push(("fact stored and read", milliseconds(confirmed) - visible));
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn orders_are_due_by_the_clock_whatever_became_of_those_before() {
        let pace = Pace {
            rate: 100,
            orders: 3,
        };
        assert_eq!(due(pace, 2), Duration::from_millis(20));
        let begun = Instant::now();
        let gate = gate(pace, begun).unwrap();
        for number in 0..3 {
            gate.acquire().await.unwrap().forget();
            assert!(begun.elapsed() >= due(pace, number));
        }
    }

    #[test]
    fn percentiles_are_milliseconds() {
        let mut figures = Figures::default();
        percentiles(&mut figures, "x", (1..=100).map(f64::from)).unwrap();
        let all = figures.all().unwrap();
        let of = |name: &str| all.iter().find(|one| one.name == name).unwrap().median;
        assert!((of("x, p50") - 50.0).abs() < 0.5 && (of("x, p99") - 99.0).abs() < 0.5);
        assert!((of("x, max") - 100.0).abs() < 0.5);
    }
}
