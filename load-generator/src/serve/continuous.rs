//! The configuration of the auto producer, which makes batches of orders continuously, and the
//! permit that keeps it apart from a requested load.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::load_controller::LoadRefused;
use crate::metrics::Metrics;
use crate::settings::ServeSettings;

/// The configuration, which the loop of the auto producer reads before every batch, and whether a
/// requested load runs. One lock protects both: otherwise a load and the auto producer could each
/// see the other stopped, and both start.
#[derive(Debug)]
pub(super) struct AutoProducer {
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    config: AutoConfig,
    /// A burst or a batch was requested and has not ended.
    load_running: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct AutoConfig {
    /// Milliseconds between two batches.
    pub(super) rate_ms: u32,
    /// Orders of a batch.
    pub(super) batch_size: u32,
    pub(super) running: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub(super) due: Instant,
    pub(super) orders: u32,
}

/// The permit to run the one load. Dropping it returns it.
#[derive(Debug)]
pub(super) struct LoadPermit(Arc<AutoProducer>);

impl Drop for LoadPermit {
    fn drop(&mut self) {
        self.0.lock().load_running = false;
    }
}

impl AutoProducer {
    pub(super) fn new(settings: &ServeSettings, metrics: Metrics) -> Self {
        metrics.set_running(settings.auto_produce);
        let config = AutoConfig {
            rate_ms: settings.production_rate_ms,
            batch_size: settings.batch_size,
            running: settings.auto_produce,
        };
        let state = State {
            config,
            load_running: false,
        };
        Self {
            state: Mutex::new(state),
            metrics,
        }
    }

    pub(super) fn config(&self) -> AutoConfig {
        self.lock().config
    }

    /// Changes the configuration and returns the new one and the old one. Refused, without any
    /// change, if the auto producer would run beside a requested load.
    pub(super) fn update(
        &self,
        change: impl FnOnce(&mut AutoConfig),
    ) -> Result<(AutoConfig, AutoConfig), LoadRefused> {
        let mut state = self.lock();
        let old = state.config;
        let mut new = old;
        change(&mut new);
        if new.running && state.load_running {
            return Err(LoadRefused::LoadRunning);
        }
        state.config = new;
        self.metrics.set_running(new.running);
        Ok((new, old))
    }

    /// There is one permit, and none while the auto producer runs.
    pub(super) fn acquire_load_permit(self: &Arc<Self>) -> Result<LoadPermit, LoadRefused> {
        let mut state = self.lock();
        if state.load_running {
            return Err(LoadRefused::LoadRunning);
        }
        if state.config.running {
            return Err(LoadRefused::AutoProducerRunning);
        }
        state.load_running = true;
        Ok(LoadPermit(Arc::clone(self)))
    }

    /// The batch after the one that was due at `last`, at the current rate; `None` while the auto
    /// producer is stopped.
    pub(super) fn next_batch(&self, last: Option<Instant>) -> Option<Batch> {
        let config = self.config();
        let interval = Duration::from_millis(config.rate_ms.into());
        config.running.then(|| Batch {
            due: last.map_or_else(Instant::now, |last| last + interval),
            orders: config.batch_size,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only plain values are assigned, so a thread that panicked leaves a valid state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use prometheus::Registry;

    use super::*;
    use crate::settings::{Cli, Verb};

    fn auto_producer(running: bool) -> Arc<AutoProducer> {
        let running = format!("--auto-produce={running}");
        let arguments = ["load-generator", "serve", &running];
        let arguments = [
            &arguments[..],
            &["--production-rate-ms=1", "--batch-size=1"],
        ];
        let Verb::Serve(settings) = Cli::try_parse_from(arguments.concat()).unwrap().verb else {
            panic!("another verb")
        };
        let metrics = Metrics::new(&Registry::new(), "orders").unwrap();
        Arc::new(AutoProducer::new(&settings, metrics))
    }

    #[test]
    fn concurrent_changes_are_all_applied() {
        let auto = auto_producer(true);
        let changes: [fn(&mut AutoConfig); 2] = [
            |config| config.rate_ms += 1,
            |config| config.batch_size += 1,
        ];
        std::thread::scope(|scope| {
            for change in changes {
                let auto = &auto;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        auto.update(change).unwrap();
                    }
                });
            }
        });
        let expected = AutoConfig {
            rate_ms: 10_001,
            batch_size: 10_001,
            running: true,
        };
        assert_eq!(auto.config(), expected);
    }

    #[test]
    fn a_requested_load_and_the_auto_producer_exclude_each_other() {
        let auto = auto_producer(false);
        let permit = auto.acquire_load_permit().unwrap();
        let second = auto.acquire_load_permit();
        assert_eq!(second.err(), Some(LoadRefused::LoadRunning));
        let start = auto.update(|config| config.running = true);
        assert_eq!(start, Err(LoadRefused::LoadRunning));
        assert!(!auto.config().running);
        let (new, _) = auto.update(|config| config.rate_ms = 7).unwrap();
        assert_eq!((new.rate_ms, new.running), (7, false));
        drop(permit);
        auto.update(|config| config.running = true).unwrap();
        let refused = auto.acquire_load_permit();
        assert_eq!(refused.err(), Some(LoadRefused::AutoProducerRunning));
        auto.update(|config| config.running = false).unwrap();
        assert!(auto.acquire_load_permit().is_ok());
    }
}
