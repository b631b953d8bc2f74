//! Orders straight into Kafka, as fast as the broker acknowledges them. They are events of orders
//! that no order-service has accepted.
//!
//! [`KafkaTarget`] is the one producer of a process, [`KafkaLoad`] one load on it. Several loads
//! may run at a time: the tag of a record holds the number of its load and the time at which the
//! record was due.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::Utc;
use kafka_admin::bulk_producer::{BulkProducer, BulkRecord, BulkSettings, DeliveryReport};
use kafka_admin::{BrokerHealth, ClusterError, KafkaSettings};
use shared_events::Topic;
use tokio_util::sync::CancellationToken;

use crate::delivery_stats::DeliveryStats;
use crate::event_template::{EncodedEvent, EventGenerator, TemplateError};
use crate::load_plan::{LoadPlan, SendWhen};
use crate::metrics::Metrics;

/// The lower bits of a tag: microseconds from the start of the target until the record was due.
/// Enough for nine years.
const TIME_BITS: u32 = 48;

/// How many loads can have different numbers at a time.
const MAX_LOADS: usize = 1 << (usize::BITS - TIME_BITS);

/// How long a wait may take to notice a stop signal.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Orders between two checks of the stop signal and of the delivery reports.
const CHECK_EVERY: u64 = 64;

/// How late an open loop may still send: orders that are further behind its schedule are not sent.
pub const MAX_DELAY: Duration = Duration::from_secs(10);

/// When a load must stop early.
#[derive(Debug, Clone)]
pub struct StopSignal {
    pub token: CancellationToken,
    pub deadline: Option<Instant>,
}

/// The producer of this process.
pub struct KafkaTarget {
    producer: BulkProducer,
    loads: Arc<LoadRegistry>,
    started: Instant,
}

/// A running load. After it is dropped its delivery reports are no longer counted.
pub struct KafkaLoad<'t> {
    target: &'t KafkaTarget,
    number: usize,
    stats: Arc<DeliveryStats>,
    sent: u64,
}

/// The statistics of the running loads, by number.
#[derive(Default)]
struct LoadRegistry {
    stats: RwLock<HashMap<usize, Arc<DeliveryStats>>>,
    next: AtomicUsize,
}

impl KafkaTarget {
    /// A producer of `OrderCreated` to the topic `orders`. The broker need not be up yet.
    pub fn new(
        kafka: &KafkaSettings,
        settings: &BulkSettings,
        health: BrokerHealth,
        metrics: Option<Metrics>,
    ) -> Result<Self, ClusterError> {
        let (loads, started) = (Arc::<LoadRegistry>::default(), Instant::now());
        let on_delivery = {
            let loads = Arc::clone(&loads);
            move |report: DeliveryReport<'_>| {
                let (number, due) = decode_tag(report.tag);
                let now = Instant::now();
                let latency = now.saturating_duration_since(started + due);
                if let Some(metrics) = &metrics {
                    metrics.count(report.outcome.is_ok(), latency);
                }
                if let Some(stats) = loads.get(number) {
                    match report.outcome {
                        Ok(partition) => stats.add_acknowledged(now, latency, Some(partition)),
                        Err(error) => stats.add_failed(|| error.to_string()),
                    }
                }
            }
        };
        let producer = BulkProducer::new(
            kafka,
            "load-generator",
            Topic::Orders,
            settings,
            health,
            on_delivery,
        )?;
        Ok(Self {
            producer,
            loads,
            started,
        })
    }

    /// Starts a load, which is counted in `stats`.
    pub fn start_load(&self, stats: &Arc<DeliveryStats>) -> KafkaLoad<'_> {
        KafkaLoad {
            target: self,
            number: self.loads.insert(stats),
            stats: Arc::clone(stats),
            sent: 0,
        }
    }

    /// The topic's name on the broker.
    pub fn topic(&self) -> &str {
        self.producer.topic()
    }

    /// Waits until the producer can send its first record without delay; false after `timeout`.
    /// Blocks.
    pub fn wait_until_ready(&self, timeout: Duration) -> bool {
        self.producer.wait_until_ready(timeout)
    }

    /// Waits until `moment` and handles delivery reports meanwhile; false if it was stopped before.
    /// Blocks.
    pub fn wait_until(&self, moment: Instant, stop: &StopSignal) -> bool {
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if stop.is_set() {
                return false;
            }
            let next_check = Instant::now() + left.min(STOP_CHECK_INTERVAL);
            self.producer.poll_until(next_check, || false);
        }
    }

    /// Waits for all delivery reports, at most for `timeout`. A record without one by then has
    /// failed. Blocks.
    pub fn finish(&self, timeout: Duration) {
        self.producer.flush_or_purge(timeout);
    }
}

impl KafkaLoad<'_> {
    /// Sends the orders of a plan. Returns when the last one is sent, when it is stopped, or,
    /// except for an open loop, when an order has failed. Returns how many were sent. Blocks.
    pub fn run(
        &mut self,
        plan: &LoadPlan,
        events: &mut EventGenerator,
        stop: &StopSignal,
    ) -> Result<u64, TemplateError> {
        let started = Instant::now();
        let give_up_at = plan.duration().map(|time| started + time + MAX_DELAY);
        for n in 0..plan.count() {
            if n.is_multiple_of(CHECK_EVERY) {
                self.target.producer.poll();
                if self.must_stop(plan, stop, give_up_at) {
                    break;
                }
            }
            let now = Instant::now();
            let (due, go) = match plan.send_when(n) {
                SendWhen::Now => (now, true),
                SendWhen::AfterPause(pause) => {
                    (now + pause, self.target.wait_until(now + pause, stop))
                }
                SendWhen::AllAcknowledged => {
                    let go = self.wait_for_deliveries(stop) && !self.stats.has_failed();
                    (Instant::now(), go)
                }
                SendWhen::Due(due) => (started + due, self.target.wait_until(started + due, stop)),
            };
            if !go || !self.send(events.next(Utc::now())?, due, stop) {
                break;
            }
        }
        Ok(self.sent)
    }

    fn must_stop(&self, plan: &LoadPlan, stop: &StopSignal, give_up_at: Option<Instant>) -> bool {
        let too_late = give_up_at.is_some_and(|at| Instant::now() > at);
        let failed = !matches!(plan, LoadPlan::Open(_)) && self.stats.has_failed();
        stop.is_set() || too_late || failed
    }

    /// Sends one event as soon as the producer's queue has room; false if it was stopped before.
    pub fn send(&mut self, event: EncodedEvent<'_>, due: Instant, stop: &StopSignal) -> bool {
        let record = BulkRecord {
            key: event.key.as_bytes(),
            value: event.value,
            headers: event.headers,
            partition: None,
            tag: encode_tag(
                self.number,
                due.saturating_duration_since(self.target.started),
            ),
        };
        let producer = &self.target.producer;
        while producer.send(&record).is_err() {
            if stop.is_set() {
                return false;
            }
            producer.poll_until(Instant::now() + STOP_CHECK_INTERVAL, || {
                producer.has_capacity()
            });
        }
        self.sent += 1;
        true
    }

    /// Waits until every sent order is acknowledged or has failed; false if it was stopped before.
    /// Blocks.
    pub fn wait_for_deliveries(&self, stop: &StopSignal) -> bool {
        let all_completed = || self.stats.completed() >= self.sent;
        while !all_completed() {
            if stop.is_set() {
                return false;
            }
            let next_check = Instant::now() + STOP_CHECK_INTERVAL;
            self.target.producer.poll_until(next_check, all_completed);
        }
        true
    }
}

impl Drop for KafkaLoad<'_> {
    fn drop(&mut self) {
        self.target.loads.remove(self.number);
    }
}

impl LoadRegistry {
    fn get(&self, number: usize) -> Option<Arc<DeliveryStats>> {
        let stats = self.stats.read().unwrap_or_else(PoisonError::into_inner);
        stats.get(&number).cloned()
    }

    /// Returns a number that no running load has. Numbers are reused as late as possible, because a
    /// delivery report may come after its load has ended.
    fn insert(&self, stats: &Arc<DeliveryStats>) -> usize {
        let mut all = self.stats.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed) % MAX_LOADS;
            if let Entry::Vacant(free) = all.entry(number) {
                free.insert(Arc::clone(stats));
                return number;
            }
        }
    }

    fn remove(&self, number: usize) {
        let mut all = self.stats.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(&number);
    }
}

impl StopSignal {
    pub fn is_set(&self) -> bool {
        self.token.is_cancelled() || self.deadline.is_some_and(|at| Instant::now() > at)
    }
}

fn encode_tag(load: usize, due: Duration) -> usize {
    let time = usize::try_from(due.as_micros()).unwrap_or(usize::MAX);
    (load << TIME_BITS) | (time & ((1 << TIME_BITS) - 1))
}

fn decode_tag(tag: usize) -> (usize, Duration) {
    let time = tag & ((1 << TIME_BITS) - 1);
    (tag >> TIME_BITS, Duration::from_micros(time as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_the_load_of_a_record_and_its_due_time() {
        let due = Duration::from_micros((1 << TIME_BITS) - 1);
        for load in [0, 1, MAX_LOADS - 1] {
            assert_eq!(decode_tag(encode_tag(load, due)), (load, due));
        }
    }
}
