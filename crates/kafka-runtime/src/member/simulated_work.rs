//! Simulated work: makes a member slow on purpose, so that lag grows and can be reduced again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::handler::Handler;
use crate::member::collect::Batch;
use crate::member::consumer_loop::ConsumerLoop;

/// How simulated work waits. The default waits in real time.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn(Duration) + Send + Sync>>);

impl Clock {
    /// A clock for tests: each wait calls `waited` and ends at once.
    pub fn of(waited: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(waited)))
    }

    /// Waits for this time, or until `stop`.
    fn wait(&self, time: Duration, stop: &CancellationToken, runtime: &Handle) {
        match &self.0 {
            Some(waited) => waited(time),
            None => {
                // `Elapsed` is the normal case here.
                let _ = runtime.block_on(async { timeout(time, stop.cancelled()).await });
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "a test's clock",
            None => "the clock",
        })
    }
}

impl<H: Handler> ConsumerLoop<H> {
    /// Waits for `time_ms` if the batch holds work: once per batch, as one call of another system would serve all of it. False
    /// if the member was asked to stop meanwhile: then nothing of the batch has happened, and it is redelivered.
    ///
    /// The wait comes before the handler, so that no transaction and no lock is held. It is 30 s at most: `poll` is not called
    /// meanwhile, and a member that does not poll for 60 s (`max.poll.interval.ms`) loses its partitions. With
    /// `SANDBOX_UNSAFE=1` the group's record may set up to 120 s, to show just that.
    pub(super) fn simulate_work(&self, batch: &Batch<'_, H::Work>, time_ms: u32) -> bool {
        let cut = self.cut(&batch.records);
        let mut records = batch.records.iter();
        if time_ms == 0
            || !records.any(|record| record.work().is_some() && cut.keeps(&record.record_ref()))
        {
            return true;
        }
        let time = Duration::from_millis(time_ms.into());
        self.settings.clock.wait(time, &self.stop, &self.runtime);
        !self.stop.is_cancelled()
    }
}
