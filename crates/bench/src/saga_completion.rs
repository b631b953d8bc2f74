//! When a saga ends: a thread tails the topic `inventory` and notes when the last event of each
//! order can be read.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kafka_admin::tail_new::{NewRecord, NewRecordTail};
use shared_events::OrderId;
use stack::terminal::counted;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// The longest time without a last event of any awaited order.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two checks whether the last events of all awaited orders were read.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The completed sagas, as the tailing thread reads them. Dropping the value stops the thread.
#[derive(Debug)]
pub struct SagaCompletions {
    seen: Arc<Mutex<LastEvents>>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct LastEvents {
    at: HashMap<OrderId, Instant>,
    waiters: HashMap<OrderId, oneshot::Sender<Instant>>,
    /// Offset and order of the last event of each partition.
    last: BTreeMap<i32, (i64, OrderId)>,
    /// Why the thread has ended.
    failed: Option<String>,
}

impl SagaCompletions {
    /// Starts the thread that reads this tail.
    pub fn start(tail: NewRecordTail) -> Result<Self> {
        let completions = Self {
            seen: Arc::default(),
            stop: Arc::default(),
        };
        let (seen, stop) = (Arc::clone(&completions.seen), Arc::clone(&completions.stop));
        thread::Builder::new()
            .name("completions".to_owned())
            .spawn(move || read_tail(&tail, &seen, &stop))
            .context("cannot start a thread")?;
        Ok(completions)
    }

    /// Waits for the last event of this order, and returns when it could be read.
    ///
    /// # Errors
    /// The event was not read within 60 s, or the topic cannot be read.
    pub async fn wait_one(&self, id: OrderId) -> Result<Instant> {
        let receiver = {
            let mut seen = self.seen()?;
            if let Some(at) = seen.at.remove(&id) {
                return Ok(at);
            }
            let (sender, receiver) = oneshot::channel();
            seen.waiters.insert(id, sender);
            receiver
        };
        let seen = timeout(STALL_TIMEOUT, receiver).await.with_context(|| {
            let seconds = STALL_TIMEOUT.as_secs();
            format!(
                "the saga of order {id} did not end within {seconds} s: ./sandbox logs --order {id}"
            )
        })?;
        seen.with_context(|| format!("the wait for the last event of order {id} was cancelled"))
    }

    /// The earliest moment when the last event of one of these orders could be read. `None` if no
    /// such event was read yet.
    pub fn earliest(&self, orders: &[OrderId]) -> Result<Option<Instant>> {
        let seen = self.seen()?;
        Ok(orders
            .iter()
            .filter_map(|id| seen.at.get(id))
            .min()
            .copied())
    }

    /// Waits until the last events of all these orders can be read, and returns the last order of
    /// each partition.
    ///
    /// # Errors
    /// No last event was read for 60 s, or the topic cannot be read.
    pub async fn wait_all(&self, orders: &[OrderId]) -> Result<Vec<OrderId>> {
        let mut left = orders.iter().peekable();
        let mut last_progress = Instant::now();
        loop {
            {
                let seen = self.seen()?;
                while left.next_if(|id| seen.at.contains_key(id)).is_some() {
                    last_progress = Instant::now();
                }
                if left.peek().is_none() {
                    return Ok(seen.last.values().map(|(_, id)| *id).collect());
                }
            }
            if last_progress.elapsed() > STALL_TIMEOUT {
                let (left, seconds) = (counted(left.len(), "saga"), STALL_TIMEOUT.as_secs());
                bail!(
                    "{left} did not end, and no saga has ended for {seconds} s: ./sandbox status"
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Forgets all events. Call it between two measurements, while no task waits.
    pub fn clear(&self) -> Result<()> {
        let mut seen = self.seen()?;
        seen.at.clear();
        seen.last.clear();
        Ok(())
    }

    fn seen(&self) -> Result<MutexGuard<'_, LastEvents>> {
        let seen = lock(&self.seen);
        match &seen.failed {
            Some(why) => bail!("the topic inventory cannot be read: {why}"),
            None => Ok(seen),
        }
    }
}

impl Drop for SagaCompletions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn read_tail(tail: &NewRecordTail, seen: &Mutex<LastEvents>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match tail.next(Duration::from_millis(200)) {
            Ok(None) => {}
            Ok(Some(record)) => lock(seen).note(&record, Instant::now()),
            Err(error) => {
                lock(seen).failed = Some(error.to_string());
                return;
            }
        }
    }
}

fn lock(seen: &Mutex<LastEvents>) -> MutexGuard<'_, LastEvents> {
    // A panic loses at most one order, and the wait for that order fails with its id.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LastEvents {
    /// Skips a record whose key is no order id. A duplicate keeps the time of the first record.
    fn note(&mut self, record: &NewRecord, at: Instant) {
        let key = record.key.as_deref().map(std::str::from_utf8);
        let Some(Ok(Ok(id))) = key.map(|key| key.map(str::parse::<OrderId>)) else {
            return;
        };
        self.last.insert(record.partition, (record.offset, id));
        match self.waiters.remove(&id) {
            // The receiver may have timed out.
            Some(waiter) => drop(waiter.send(at)),
            None => drop(self.at.entry(id).or_insert(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &[u8], partition: i32, offset: i64) -> NewRecord {
        let key = Some(key.to_vec());
        NewRecord {
            partition,
            offset,
            key,
        }
    }

    #[test]
    fn an_event_reaches_a_waiter_or_is_kept_for_a_later_one() {
        let (mut seen, now) = (LastEvents::default(), Instant::now());
        let (early, late) = (OrderId::now(), OrderId::now());
        let (sender, mut receiver) = oneshot::channel();
        seen.waiters.insert(early, sender);
        seen.note(&record(early.to_string().as_bytes(), 0, 7), now);
        seen.note(&record(late.to_string().as_bytes(), 0, 8), now);
        seen.note(&record(b"\xff no order", 0, 9), now);
        assert_eq!(receiver.try_recv(), Ok(now));
        assert_eq!(seen.at, HashMap::from([(late, now)]));
        assert_eq!(seen.last, BTreeMap::from([(0, (8, late))]));
    }

    #[test]
    fn a_duplicate_event_keeps_the_time_of_the_first() {
        let (mut seen, now) = (LastEvents::default(), Instant::now());
        let id = OrderId::now();
        seen.note(&record(id.to_string().as_bytes(), 0, 1), now);
        let later = now + STALL_TIMEOUT;
        seen.note(&record(id.to_string().as_bytes(), 0, 2), later);
        assert_eq!(seen.at, HashMap::from([(id, now)]));
    }
}
