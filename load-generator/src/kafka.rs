//! A load straight into Kafka: events of orders that no service has accepted, as fast as the broker acknowledges them.
//!
//! [`Sender`] is the one producer of a process, [`Job`] one load on it. Several jobs may be on their way at a time: a record's
//! tag says to which it belongs, and when it was due.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::Utc;
use kafka_runtime::KafkaSettings;
use kafka_admin::bulk::{Bulk, BulkRecord, BulkSettings, Receipt};
use kafka_runtime::client::Connection;
use kafka_admin::ClusterError;
use shared_events::Topic;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::plan::{Before, Plan};
use crate::tally::Tally;
use crate::template::{Events, TemplateError, Written};

/// The lower bits of a tag: microseconds from the sender's start until the record was due. Enough for nine years.
const TIME_BITS: u32 = 48;

/// How many jobs can be told apart at a time.
const JOBS: usize = 1 << (usize::BITS - TIME_BITS);

/// How long a wait takes no notice of being stopped.
const SLICE: Duration = Duration::from_millis(50);

/// Orders between two looks at whether to stop, and for receipts.
const LOOK_EVERY: u64 = 64;

/// How long an open loop may be behind at its end: what is not handed over by then is not sent at all.
pub const GRACE: Duration = Duration::from_secs(10);

/// When to give up.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Somebody asked.
    pub asked: CancellationToken,
    /// Time is over.
    pub at: Option<Instant>,
}

/// The producer of this process.
pub struct Sender {
    bulk: Bulk,
    open: Arc<Open>,
    begun: Instant,
}

/// A load on its way. Dropped, nobody counts its receipts any more.
pub struct Job<'s> {
    sender: &'s Sender,
    number: usize,
    tally: Arc<Tally>,
    handed: u64,
}

/// The jobs on their way, by number.
#[derive(Default)]
struct Open {
    tallies: RwLock<HashMap<usize, Arc<Tally>>>,
    next: AtomicUsize,
}

impl Sender {
    /// A producer of `OrderCreated` in `orders`. Needs no broker yet.
    pub fn new(
        kafka: &KafkaSettings,
        settings: &BulkSettings,
        connection: Connection,
        metrics: Option<Metrics>,
    ) -> Result<Self, ClusterError> {
        let (open, begun) = (Arc::<Open>::default(), Instant::now());
        let told = {
            let open = Arc::clone(&open);
            move |receipt: Receipt<'_>| {
                let (number, due) = read_tag(receipt.tag);
                let now = Instant::now();
                let after = now.saturating_duration_since(begun + due);
                if let Some(metrics) = &metrics {
                    metrics.count(receipt.outcome.is_ok(), after);
                }
                if let Some(tally) = open.get(number) {
                    match receipt.outcome {
                        Ok(partition) => tally.acknowledged(now, after, Some(partition)),
                        Err(error) => tally.failed(|| error.to_string()),
                    }
                }
            }
        };
        let bulk = Bulk::new(
            kafka,
            "load-generator",
            Topic::Orders,
            settings,
            connection,
            told,
        )?;
        Ok(Self { bulk, open, begun })
    }

    /// A new load, which is counted in `tally`.
    pub fn job(&self, tally: &Arc<Tally>) -> Job<'_> {
        Job {
            sender: self,
            number: self.open.insert(tally),
            tally: Arc::clone(tally),
            handed: 0,
        }
    }

    /// The name of the topic on the broker.
    pub fn topic(&self) -> &str {
        self.bulk.topic()
    }

    /// Waits until the first record need not wait for the producer, and says whether that came `within`. Blocks.
    pub fn wait_until_ready(&self, within: Duration) -> bool {
        self.bulk.wait_until_ready(within)
    }

    /// Waits until this moment, and counts what comes meanwhile; `false` if it was told to stop before. Blocks.
    pub fn wait_until(&self, moment: Instant, stop: &Stop) -> bool {
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if stop.is_asked() {
                return false;
            }
            let slice = Instant::now() + left.min(SLICE);
            self.bulk.take_receipts_until(slice, || false);
        }
    }

    /// Waits for all receipts, at most `within`; what has none by then has failed. Blocks.
    pub fn finish(&self, within: Duration) {
        self.bulk.finish(within);
    }
}

impl Job<'_> {
    /// Sends the orders of a plan, and returns when the last is handed over, when it is told to stop, or, unless the loop is
    /// open, when one has failed. Says how many were handed over. Blocks.
    pub fn run(
        &mut self,
        plan: &Plan,
        events: &mut Events,
        stop: &Stop,
    ) -> Result<u64, TemplateError> {
        let begun = Instant::now();
        let give_up = plan.time().map(|time| begun + time + GRACE);
        for n in 0..plan.count() {
            if n.is_multiple_of(LOOK_EVERY) {
                self.sender.bulk.take_receipts();
                if self.is_over(plan, stop, give_up) {
                    break;
                }
            }
            let now = Instant::now();
            let (due, go) = match plan.before(n) {
                Before::Nothing => (now, true),
                Before::Pause(pause) => (now + pause, self.sender.wait_until(now + pause, stop)),
                Before::Acknowledged => {
                    let go = self.settle(stop) && !self.tally.has_failed();
                    (Instant::now(), go)
                }
                Before::Due(due) => (begun + due, self.sender.wait_until(begun + due, stop)),
            };
            if !go || !self.send(events.next(Utc::now())?, due, stop) {
                break;
            }
        }
        Ok(self.handed)
    }

    fn is_over(&self, plan: &Plan, stop: &Stop, give_up: Option<Instant>) -> bool {
        let late = give_up.is_some_and(|at| Instant::now() > at);
        let failed = !matches!(plan, Plan::Open(_)) && self.tally.has_failed();
        stop.is_asked() || late || failed
    }

    /// Hands one event over, as soon as there is room. `false` if it was told to stop first.
    pub fn send(&mut self, event: Written<'_>, due: Instant, stop: &Stop) -> bool {
        let record = BulkRecord {
            key: event.key.as_bytes(),
            value: event.value,
            headers: event.headers,
            partition: None,
            tag: tag(
                self.number,
                due.saturating_duration_since(self.sender.begun),
            ),
        };
        while self.sender.bulk.send(&record).is_err() {
            if stop.is_asked() {
                return false;
            }
            self.sender
                .bulk
                .take_receipts_until(Instant::now() + SLICE, || self.sender.bulk.has_room());
        }
        self.handed += 1;
        true
    }

    /// Waits until all that was handed over is acknowledged or has failed. `false` if it was told to stop first. Blocks.
    pub fn settle(&self, stop: &Stop) -> bool {
        let is_settled = || self.tally.settled() >= self.handed;
        while !is_settled() {
            if stop.is_asked() {
                return false;
            }
            self.sender
                .bulk
                .take_receipts_until(Instant::now() + SLICE, is_settled);
        }
        true
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.sender.open.remove(self.number);
    }
}

impl Open {
    fn get(&self, number: usize) -> Option<Arc<Tally>> {
        let tallies = self.tallies.read().unwrap_or_else(PoisonError::into_inner);
        tallies.get(&number).cloned()
    }

    /// Gives it a number that no other has. Numbers come again as late as possible: a receipt may come after its job is gone.
    fn insert(&self, tally: &Arc<Tally>) -> usize {
        let mut tallies = self.tallies.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed) % JOBS;
            if let Entry::Vacant(free) = tallies.entry(number) {
                free.insert(Arc::clone(tally));
                return number;
            }
        }
    }

    fn remove(&self, number: usize) {
        let mut tallies = self.tallies.write().unwrap_or_else(PoisonError::into_inner);
        tallies.remove(&number);
    }
}

impl Stop {
    /// Whether to give up now.
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled() || self.at.is_some_and(|at| Instant::now() > at)
    }
}

fn tag(job: usize, due: Duration) -> usize {
    let time = usize::try_from(due.as_micros()).unwrap_or(usize::MAX);
    (job << TIME_BITS) | (time & ((1 << TIME_BITS) - 1))
}

fn read_tag(tag: usize) -> (usize, Duration) {
    let time = tag & ((1 << TIME_BITS) - 1);
    (tag >> TIME_BITS, Duration::from_micros(time as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_whose_record_it_is_and_when_it_was_due() {
        let due = Duration::from_micros((1 << TIME_BITS) - 1);
        for job in [0, 1, JOBS - 1] {
            assert_eq!(read_tag(tag(job, due)), (job, due));
        }
    }
}
