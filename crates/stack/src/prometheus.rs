//! Prometheus of a stack: started by `up --observe`, with every instance as a target.

use anyhow::{Context, Result, bail};
use local_runtime::backends::START_LIMIT;
use local_runtime::prometheus::{PROMETHEUS, PROMETHEUS_GRACE, Prometheus};
use serde_json::json;

use crate::Stack;
use crate::interrupt::InterruptGuard;
use crate::workload::Workload;

impl Stack<'_> {
    /// Prometheus of this stack, running or not.
    pub fn prometheus(&self) -> Prometheus {
        let settings = self.layout.settings();
        Prometheus::new(
            self.state_dir(),
            settings.bind_addr,
            settings.ports.prometheus_port,
        )
    }

    /// Whether Prometheus was started since the last `down`, running or not: then it is one of the stack's processes.
    pub fn has_prometheus(&self) -> Result<bool> {
        Ok(self.processes.record(PROMETHEUS)?.is_some())
    }

    /// Fails if Prometheus is not installed; the error says how to install it.
    pub fn require_prometheus(&self) -> Result<()> {
        if Prometheus::executable().is_ok() {
            return Ok(());
        }
        let monitor = self.layout.url(Workload::LagMonitor, 1)?;
        bail!(
            "prometheus is not installed: apt-get install prometheus, or put the program from https://prometheus.io/download into PATH; \
             without it: ./sandbox up, then {monitor} shows the groups, and ./sandbox --docker up brings Prometheus and Grafana"
        )
    }

    /// Starts Prometheus, or continues it if it is paused.
    pub async fn start_prometheus(&self, guard: &InterruptGuard) -> Result<()> {
        let prometheus = self.prometheus();
        if self.must_start_or_continue(PROMETHEUS)? {
            prometheus.prepare(&self.layout.checkout().join("prometheus"))?;
            prometheus.set_targets(&self.targets()?)?;
            self.processes.start(&prometheus.program()?).await?;
        }
        guard
            .unless_interrupted(prometheus.ready(&self.processes, START_LIMIT))
            .await
    }

    /// Writes the present instances into the targets of Prometheus, if Prometheus belongs to the stack.
    pub fn update_prometheus_targets(&self) -> Result<()> {
        match self.has_prometheus()? {
            true => self.prometheus().set_targets(&self.targets()?),
            false => Ok(()),
        }
    }

    /// Stops Prometheus and removes its data. Returns whether it was alive, paused or not.
    pub async fn clear_prometheus(&self) -> Result<bool> {
        let ran = self.processes.runs(PROMETHEUS)?;
        match ran {
            true => drop(self.processes.stop(PROMETHEUS, PROMETHEUS_GRACE).await?),
            false => self.processes.forget(PROMETHEUS)?,
        }
        self.prometheus().remove_data()?;
        Ok(ran)
    }

    /// Every started instance, those that ended too: the failed scrape shows that the instance is down.
    fn targets(&self) -> Result<String> {
        let mut list = Vec::new();
        for workload in Workload::KNOWN {
            for one in self.started_instances(workload)? {
                let url = one.instance(self.layout)?.url;
                let address = url.trim_start_matches("http://");
                list.push(json!({"labels": {"job": workload.name()}, "targets": [address]}));
            }
        }
        serde_json::to_string_pretty(&list).context("cannot serialize the targets")
    }
}
