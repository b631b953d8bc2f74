//! Restarting a workload, with changed settings if any are given.

use anyhow::{Result, bail};

use crate::Stack;
use crate::interrupt::InterruptGuard;
use crate::settings::{self, Assignment};
use crate::start::StartReport;
use crate::start_plan::StartPlan;
use crate::workload::Workload;

/// A change of the saved settings of one workload.
#[derive(Debug, Clone, Default)]
pub struct SettingsChange {
    /// Settings that get a new value.
    pub set: Vec<Assignment>,
    /// Names of settings that go back to their defaults.
    pub unset: Vec<String>,
}

impl Stack<'_> {
    /// Stops all instances at the same time and starts them again, those that had ended too. The binary itself validates the
    /// settings before an instance is stopped, so invalid settings change nothing.
    pub async fn restart(
        &self,
        workload: Workload,
        change: SettingsChange,
        no_wait: bool,
        guard: &InterruptGuard,
    ) -> Result<StartReport> {
        let started = self.started_instances(workload)?;
        if started.is_empty() {
            bail!("{workload} was not started: ./sandbox up {workload}");
        }
        let mut changed = self.saved_settings()?.settings(workload);
        changed.retain(|name, _| !change.unset.contains(name));
        changed.extend(change.set.into_iter().map(|one| (one.name, one.value)));
        settings::validate(self.layout, workload, &changed).await?;

        let instances: Vec<_> = started.iter().map(|one| (workload, one.slot)).collect();
        self.stop_instances(&instances).await?;
        self.update_saved_settings(|saved| saved.replace_settings(workload, changed))?;
        let plan = StartPlan {
            no_wait,
            ..StartPlan::of_instances(instances)
        };
        self.start(&plan, guard).await
    }
}
