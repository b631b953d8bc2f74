//! Simulated work: what makes a member slow on purpose, so that lag can be caused and cured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::handler::Handler;
use crate::member::batch::Batch;
use crate::member::standing::Loop;
use crate::member::verdict::Verdict;

/// How simulated work passes: the default waits; a test may have it over at once.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn(Duration) + Send + Sync>>);

impl Clock {
    /// A clock on which each wait is only told to `waited`.
    pub fn of(waited: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(waited)))
    }

    /// Waits for so long, or until `stop`.
    fn wait(&self, time: Duration, stop: &CancellationToken, runtime: &Handle) {
        match &self.0 {
            Some(waited) => waited(time),
            None => {
                // Over time is as it should be.
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

impl<H: Handler> Loop<H> {
    /// Works for so long on a batch, if anything of it is work: once for all of it, as one call of another system would serve
    /// them all, so for each message where a batch is one. False if the member was asked to stop meanwhile: then the batch is
    /// left, nothing of it has happened, and it comes to whoever gets its partitions.
    ///
    /// Before the handler is called, so that no transaction and no lock is held meanwhile, and at most 30 s: `poll` is not
    /// called, and a member that keeps away from it for 60 s loses its partitions.
    pub(super) fn simulate_work(&self, batch: &Batch<'_, H::Work>, time_ms: u32) -> bool {
        let plan = self.plan(&batch.records);
        let is_work = |verdict: &Verdict<H::Work>| matches!(verdict, Verdict::Work(_));
        let mut records = batch.records.iter();
        if time_ms == 0
            || !records.any(|record| is_work(&record.verdict) && plan.keeps(&record.place()))
        {
            return true;
        }
        let time = Duration::from_millis(time_ms.into());
        self.settings.clock.wait(time, &self.stop, &self.runtime);
        !self.stop.is_cancelled()
    }
}
