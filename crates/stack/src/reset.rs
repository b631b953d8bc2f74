//! Resetting: topics, groups, databases, measurements and changed settings are emptied; what ran runs again.

use anyhow::Result;

use crate::Stack;
use crate::backends::clear_kafka;
use crate::interrupt::InterruptGuard;
use crate::saved_settings::SavedSettings;
use crate::start::StartReport;
use crate::start_plan::StartPlan;
use crate::terminal::{Progress, note};
use crate::workload::Workload;

impl Stack<'_> {
    /// Stops the instances and Prometheus, empties broker and database, which it starts if necessary, and starts what ran.
    pub async fn reset(&self, guard: &InterruptGuard) -> Result<StartReport> {
        let mut started = Vec::new();
        for workload in Workload::KNOWN {
            started.extend(self.started_instances(workload)?);
        }
        let (alive, ended): (Vec<_>, Vec<_>) = started.into_iter().partition(|one| one.is_alive());
        let instances: Vec<_> = alive.iter().map(|one| (one.workload, one.slot)).collect();
        let backends = StartPlan::of_backends(self);
        self.require_free_ports(&backends)?;
        self.require_disk_space(&backends)?;
        let prometheus_ran;
        {
            let _progress = Progress::new("emptying topics, groups and databases");
            self.stop_instances(&instances).await?;
            prometheus_ran = self.clear_prometheus().await?;
            let cleared = self.clear_backends(guard).await;
            if cleared.is_err() && !alive.is_empty() {
                let stopped = alive.iter().map(|one| one.record.name.as_str());
                let stopped: Vec<_> = stopped.collect();
                note(format_args!(
                    "stopped, and not started again: {} (./sandbox up starts them, ./sandbox reset tries again)",
                    stopped.join(", ")
                ));
            }
            cleared?;
        }
        for one in ended {
            self.processes.forget(&one.record.name)?;
        }
        SavedSettings::remove(self.state_dir().folder())?;
        let plan = StartPlan {
            prometheus: prometheus_ran,
            ..StartPlan::of_instances(instances)
        };
        self.start(&plan, guard).await
    }

    async fn clear_backends(&self, guard: &InterruptGuard) -> Result<()> {
        // Without the topics: those that differ from the shop's definition are deleted below, and a warning about them would
        // be out of date at once.
        let nodes = self.layout.brokers();
        let (kafka, postgres) = tokio::join!(
            self.start_brokers(&nodes, guard),
            self.start_postgres(guard)
        );
        kafka.and(postgres)?;
        let cluster = self.cluster()?;
        let clear =
            async { tokio::try_join!(clear_kafka(&cluster), self.clear_postgres()).map(drop) };
        guard.unless_interrupted(clear).await
    }
}
