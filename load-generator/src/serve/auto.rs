//! What the auto producer is told, by whoever asks over HTTP, and whether a burst keeps it from beginning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::studio::Refusal;
use crate::metrics::Metrics;
use crate::settings::Serve;

/// Its wishes, which the loop that makes orders looks at again and again. They and the burst are behind one lock: neither begins
/// because it looked just before the other did.
#[derive(Debug)]
pub(super) struct Auto {
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    wishes: Wishes,
    /// A burst or a batch is on its way.
    burst: bool,
}

/// How orders are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Wishes {
    /// Milliseconds between two batches.
    pub(super) rate_ms: u32,
    /// Orders of a batch.
    pub(super) batch_size: u32,
    /// Whether at all.
    pub(super) running: bool,
}

/// The next batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// When it is due.
    pub(super) due: Instant,
    /// Its orders.
    pub(super) orders: u32,
}

/// The right to the one load of now. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Claim(Arc<Auto>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.lock().burst = false;
    }
}

impl Auto {
    pub(super) fn new(settings: &Serve, metrics: Metrics) -> Self {
        metrics.running(settings.auto_produce);
        let wishes = Wishes {
            rate_ms: settings.production_rate_ms,
            batch_size: settings.batch_size,
            running: settings.auto_produce,
        };
        let burst = false;
        Self {
            state: Mutex::new(State { wishes, burst }),
            metrics,
        }
    }

    pub(super) fn wishes(&self) -> Wishes {
        self.lock().wishes
    }

    /// Changes them, from now on. Says what they are, and what they were. Refused, and nothing changed, if it would then run
    /// beside a burst.
    pub(super) fn change(
        &self,
        change: impl FnOnce(&mut Wishes),
    ) -> Result<(Wishes, Wishes), Refusal> {
        let mut state = self.lock();
        let before = state.wishes;
        let mut now = before;
        change(&mut now);
        if now.running && state.burst {
            return Err(Refusal::Burst);
        }
        state.wishes = now;
        self.metrics.running(now.running);
        Ok((now, before))
    }

    /// The right to a burst or a batch: to one at a time, and to none while orders are made by themselves.
    pub(super) fn claim(self: &Arc<Self>) -> Result<Claim, Refusal> {
        let mut state = self.lock();
        if state.burst {
            return Err(Refusal::Burst);
        }
        if state.wishes.running {
            return Err(Refusal::Auto);
        }
        state.burst = true;
        Ok(Claim(Arc::clone(self)))
    }

    /// The next batch after the one that was due at `last`, at the rate of now; `None` while no orders are wanted.
    pub(super) fn next(&self, last: Option<Instant>) -> Option<Turn> {
        let wishes = self.wishes();
        let rate = Duration::from_millis(wishes.rate_ms.into());
        wishes.running.then(|| Turn {
            due: last.map_or_else(Instant::now, |last| last + rate),
            orders: wishes.batch_size,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one of plain values: a panicking thread leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use prometheus::Registry;

    use super::*;
    use crate::settings::{Cli, Verb};

    fn auto(running: bool) -> Arc<Auto> {
        let running = format!("--auto-produce={running}");
        let asked = ["load-generator", "serve", &running];
        let asked = [&asked[..], &["--production-rate-ms=1", "--batch-size=1"]].concat();
        let Verb::Serve(settings) = Cli::try_parse_from(asked).unwrap().verb else {
            panic!("no service")
        };
        let metrics = Metrics::new(&Registry::new(), "orders").unwrap();
        Arc::new(Auto::new(&settings, metrics))
    }

    #[test]
    fn changes_at_the_same_time_are_all_made_and_none_is_refused_for_a_burst_that_there_is_not() {
        let auto = auto(true);
        let changes: [fn(&mut Wishes); 2] = [
            |wishes| wishes.rate_ms += 1,
            |wishes| wishes.batch_size += 1,
        ];
        std::thread::scope(|scope| {
            for change in changes {
                let auto = &auto;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        auto.change(change).unwrap();
                    }
                });
            }
        });
        let expected = Wishes {
            rate_ms: 10_001,
            batch_size: 10_001,
            running: true,
        };
        assert_eq!(auto.wishes(), expected);
    }

    #[test]
    fn a_burst_and_the_auto_producer_keep_each_other_from_beginning() {
        let auto = auto(false);
        let claim = auto.claim().unwrap();
        assert_eq!(auto.claim().err(), Some(Refusal::Burst));
        let start = auto.change(|wishes| wishes.running = true);
        assert_eq!(start, Err(Refusal::Burst));
        assert!(!auto.wishes().running);
        let (now, _) = auto.change(|wishes| wishes.rate_ms = 7).unwrap();
        assert_eq!((now.rate_ms, now.running), (7, false));
        drop(claim);
        auto.change(|wishes| wishes.running = true).unwrap();
        assert_eq!(auto.claim().err(), Some(Refusal::Auto));
        auto.change(|wishes| wishes.running = false).unwrap();
        assert!(auto.claim().is_ok());
    }
}
