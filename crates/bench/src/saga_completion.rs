//! When a saga ends: its last event, seen the moment it can be read.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kafka_admin::tail_new::{NewRecord, NewRecordTail};
use shared_events::OrderId;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Longest time without any event of the orders that are waited for.
const SILENCE: Duration = Duration::from_secs(60);

/// Between two looks at whether all have come.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The last events of sagas, as a thread of its own sees them come.
#[derive(Debug)]
pub struct Ends {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Seen {
    at: HashMap<OrderId, Instant>,
    waiting: HashMap<OrderId, oneshot::Sender<Instant>>,
    /// The last order of each partition.
    last: BTreeMap<i32, (i64, OrderId)>,
    failed: Option<String>,
}

impl Ends {
    /// Begins to look. Ends with this value.
    pub fn of(follower: NewRecordTail) -> Result<Self> {
        let ends = Self {
            seen: Arc::default(),
            stop: Arc::default(),
        };
        let (seen, stop) = (Arc::clone(&ends.seen), Arc::clone(&ends.stop));
        thread::Builder::new()
            .name("ends".to_owned())
            .spawn(move || look(&follower, &seen, &stop))
            .context("cannot start a thread")?;
        Ok(ends)
    }

    /// When the last event of this order could be read. Waits for it.
    pub async fn of_order(&self, id: OrderId) -> Result<Instant> {
        let waits = {
            let mut seen = self.seen()?;
            if let Some(at) = seen.at.remove(&id) {
                return Ok(at);
            }
            let (sender, receiver) = oneshot::channel();
            seen.waiting.insert(id, sender);
            receiver
        };
        let seen = timeout(SILENCE, waits).await.with_context(|| {
            let seconds = SILENCE.as_secs();
            format!(
                "the saga of order {id} did not end within {seconds} s: ./sandbox logs --order {id}"
            )
        })?;
        seen.with_context(|| format!("nobody looks for the end of order {id} any more"))
    }

    /// When the first of these orders' last events could be read, if any could yet.
    pub fn first_of(&self, orders: &[OrderId]) -> Result<Option<Instant>> {
        let seen = self.seen()?;
        Ok(orders
            .iter()
            .filter_map(|id| seen.at.get(id))
            .min()
            .copied())
    }

    /// Waits until the last events of all these orders can be read, and returns the last order of each partition.
    pub async fn of_all(&self, orders: &[OrderId]) -> Result<Vec<OrderId>> {
        let mut left = orders.iter().peekable();
        let mut news = Instant::now();
        loop {
            {
                let seen = self.seen()?;
                while left.next_if(|id| seen.at.contains_key(id)).is_some() {
                    news = Instant::now();
                }
                if left.peek().is_none() {
                    return Ok(seen.last.values().map(|(_, id)| *id).collect());
                }
            }
            if news.elapsed() > SILENCE {
                let (left, seconds) = (left.len(), SILENCE.as_secs());
                bail!(
                    "{left} sagas did not end, and nothing has come for {seconds} s: ./sandbox status"
                );
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Forgets what was seen. To be called between two measurements, when nobody waits.
    pub fn forget(&self) -> Result<()> {
        let mut seen = self.seen()?;
        seen.at.clear();
        seen.last.clear();
        Ok(())
    }

    fn seen(&self) -> Result<MutexGuard<'_, Seen>> {
        let seen = lock(&self.seen);
        match &seen.failed {
            Some(why) => bail!("the topic inventory cannot be followed: {why}"),
            None => Ok(seen),
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn look(follower: &NewRecordTail, seen: &Mutex<Seen>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match follower.next(Duration::from_millis(200)) {
            Ok(None) => {}
            Ok(Some(record)) => lock(seen).note(&record, Instant::now()),
            Err(error) => {
                lock(seen).failed = Some(error.to_string());
                return;
            }
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // Whoever panics here leaves at most one order out, which is then missed by name.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// A key that is no order is nobody's end. An event that is told again ends nothing a second time.
    fn note(&mut self, record: &NewRecord, at: Instant) {
        let key = record.key.as_deref().map(std::str::from_utf8);
        let Some(Ok(Ok(id))) = key.map(|key| key.map(str::parse::<OrderId>)) else {
            return;
        };
        self.last.insert(record.partition, (record.offset, id));
        match self.waiting.remove(&id) {
            // Whoever asked may have given up.
            Some(waits) => drop(waits.send(at)),
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
    fn an_end_is_known_to_who_asks_before_and_after_it_came() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let (early, late) = (OrderId::now(), OrderId::now());
        let (sender, mut waits) = oneshot::channel();
        seen.waiting.insert(early, sender);
        seen.note(&record(early.to_string().as_bytes(), 0, 7), now);
        seen.note(&record(late.to_string().as_bytes(), 0, 8), now);
        seen.note(&record(b"\xff no order", 0, 9), now);
        assert_eq!(waits.try_recv(), Ok(now));
        assert_eq!(seen.at, HashMap::from([(late, now)]));
        assert_eq!(seen.last, BTreeMap::from([(0, (8, late))]));
    }

    #[test]
    fn an_event_told_again_does_not_move_its_time() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let id = OrderId::now();
        seen.note(&record(id.to_string().as_bytes(), 0, 1), now);
        seen.note(&record(id.to_string().as_bytes(), 0, 2), now + SILENCE);
        assert_eq!(seen.at, HashMap::from([(id, now)]));
    }
}
