//! Failures on purpose: processes are killed or stopped one at a time.

use anyhow::Result;
use local_runtime::kafka::{KAFKA_GRACE, Node};
use local_runtime::postgres::{POSTGRES, POSTGRES_GRACE};
use local_runtime::prometheus::{PROMETHEUS, PROMETHEUS_GRACE};

use crate::Stack;

/// The signal that ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndSignal {
    /// SIGTERM: the process drains. SIGKILL follows if it takes longer than its limit.
    Terminate,
    /// SIGKILL at once.
    Kill,
}

impl Stack<'_> {
    /// Ends one process, and saves that it was ended on purpose: it stays so until a person names it or starts everything.
    pub async fn end_process(&self, name: &str, signal: EndSignal) -> Result<()> {
        // Saved first: a command that runs between the two must not take the end for a crash.
        self.update_saved_settings(|saved| saved.mark_killed(name))?;
        match (signal, name) {
            (EndSignal::Kill, _) => self.processes.kill(name).await.map(drop),
            (EndSignal::Terminate, broker) if Node::is_name(broker) => {
                self.terminate(name, KAFKA_GRACE).await
            }
            (EndSignal::Terminate, POSTGRES) => self.terminate(name, POSTGRES_GRACE).await,
            (EndSignal::Terminate, PROMETHEUS) => self.terminate(name, PROMETHEUS_GRACE).await,
            (EndSignal::Terminate, _) => self.stop_processes(&[name.to_owned()]).await,
        }
    }

    async fn terminate(&self, name: &str, grace: std::time::Duration) -> Result<()> {
        self.processes.stop(name, grace).await.map(drop)
    }
}
