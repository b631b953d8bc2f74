//! Stops processes in order: the services drain before the broker and the database go away.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use local_runtime::kafka::{KAFKA_GRACE, Node};
use local_runtime::postgres::{POSTGRES, POSTGRES_GRACE};
use local_runtime::prometheus::{PROMETHEUS, PROMETHEUS_GRACE};
use local_runtime::state_dir::remove;

use crate::Stack;
use crate::instances::InstanceId;
use crate::saved_settings::SavedSettings;
use crate::workload::Workload;

/// What the name of a process begins with that holds something as long as a fault lasts.
pub const BACKGROUND_PROCESS: &str = "background-";

/// How long such a process may take to end.
const FAULT_GRACE: Duration = Duration::from_secs(5);

impl Stack<'_> {
    /// Stops these processes: all instances at the same time, then broker, database and Prometheus. A name without a running
    /// process is ignored.
    pub async fn stop_processes(&self, names: &[String]) -> Result<()> {
        let mut instances: Vec<InstanceId> = Vec::new();
        for workload in Workload::KNOWN {
            let started = self.started_instances(workload)?.into_iter();
            let chosen = started.filter(|one| names.contains(&one.record.name));
            instances.extend(chosen.map(|one| (workload, one.slot)));
        }
        self.stop_instances(&instances).await?;
        // What a fault holds is released before broker and database stop.
        let faults = names
            .iter()
            .filter(|name| name.starts_with(BACKGROUND_PROCESS));
        let faults = faults.map(|name| self.processes.stop(name, FAULT_GRACE));
        try_join_all(faults).await?;
        let stop = async |name: &str, grace| match names.iter().any(|one| one == name) {
            true => self.processes.stop(name, grace).await.map(drop),
            false => Ok(()),
        };
        let brokers: Vec<&String> = names.iter().filter(|name| Node::is_name(name)).collect();
        let brokers = brokers.iter().map(|name| stop(name, KAFKA_GRACE));
        tokio::try_join!(
            try_join_all(brokers),
            stop(POSTGRES, POSTGRES_GRACE),
            stop(PROMETHEUS, PROMETHEUS_GRACE)
        )
        .map(drop)
    }

    /// Stops everything, and forgets which processes were started and which settings were changed. Returns the names of the
    /// processes that were stopped.
    pub async fn stop_everything(&self) -> Result<Vec<String>> {
        let alive = self.alive_processes()?;
        self.stop_processes(&alive).await?;
        for record in self.processes.records()? {
            self.processes.forget(&record.name)?;
        }
        SavedSettings::remove(self.state_dir().folder())?;
        Ok(alive)
    }

    /// Removes all data and logs of a stopped stack, and its folder if nothing else is in it.
    pub fn remove_data(&self) -> Result<()> {
        self.state_dir().remove_data()?;
        let default_folder = self.layout.checkout().join(".sandbox");
        if self.layout.home() == default_folder {
            // PostgreSQL cannot run as root, so its binaries may lie in /var/tmp. All stacks of this checkout share them; the
            // next `up` of any stack unpacks them again.
            return self.layout.sources().remove_outside();
        }
        let folder = self.state_dir().folder();
        // The lock file is held by this command. The script `sandbox` saves a chosen mode.
        for file in ["lock", "mode"] {
            remove(&folder.join(file))?;
        }
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                Err(error).with_context(|| format!("cannot remove {}", folder.display()))
            }
            _ => Ok(()),
        }
    }
}
