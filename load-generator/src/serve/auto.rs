//! What the auto producer is told, by whoever asks over HTTP.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::metrics::Metrics;
use crate::settings::Serve;

/// Its wishes, which the loop that makes orders looks at again and again.
#[derive(Debug)]
pub(super) struct Auto {
    wishes: Mutex<Wishes>,
    metrics: Metrics,
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

impl Auto {
    pub(super) fn new(settings: &Serve, metrics: Metrics) -> Self {
        metrics.running(settings.auto_produce);
        Self {
            wishes: Mutex::new(Wishes {
                rate_ms: settings.production_rate_ms,
                batch_size: settings.batch_size,
                running: settings.auto_produce,
            }),
            metrics,
        }
    }

    pub(super) fn wishes(&self) -> Wishes {
        *self.lock()
    }

    /// Changes them, from now on. Says what they are, and what they were.
    pub(super) fn change(&self, change: impl FnOnce(&mut Wishes)) -> (Wishes, Wishes) {
        let mut wishes = self.lock();
        let before = *wishes;
        change(&mut wishes);
        self.metrics.running(wishes.running);
        (*wishes, before)
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

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
