//! Prometheus beside the stack: started when it is asked for, and told which instances there are.

use anyhow::{Context, Result, bail};
use local_runtime::backends::START_LIMIT;
use local_runtime::prometheus::{PROMETHEUS, PROMETHEUS_GRACE, Prometheus};
use serde_json::json;

use crate::Stack;
use crate::interrupt::Hold;
use crate::workload::Workload;

impl Stack<'_> {
    /// Prometheus of this stack, running or not.
    pub fn prometheus(&self) -> Prometheus {
        let settings = self.sandbox.settings();
        Prometheus::new(self.home(), settings.bind_addr, settings.prometheus_port)
    }

    /// Whether it was started since the last `down`, whatever became of it: then it is one of the stack's processes.
    pub fn is_observed(&self) -> Result<bool> {
        Ok(self.processes.record(PROMETHEUS)?.is_some())
    }

    /// An error that says how to get it, if this machine has none.
    pub fn require_prometheus(&self) -> Result<()> {
        if Prometheus::executable().is_ok() {
            return Ok(());
        }
        let monitor = self.sandbox.url(Workload::LagMonitor, 1)?;
        bail!(
            "prometheus is not installed: apt-get install prometheus, or put the program from https://prometheus.io/download into PATH; \
             without it: ./sandbox up, then {monitor} shows the groups, and ./sandbox --docker up brings Prometheus and Grafana"
        )
    }

    /// Starts it, or lets a paused one go on.
    pub async fn bring_prometheus(&self, hold: &Hold) -> Result<()> {
        let prometheus = self.prometheus();
        if self.must_start(PROMETHEUS)? {
            prometheus.prepare(&self.sandbox.checkout().join("prometheus"))?;
            prometheus.set_targets(&self.targets()?)?;
            self.processes.start(&prometheus.program()?).await?;
        }
        hold.or(prometheus.ready(&self.processes, START_LIMIT))
            .await
    }

    /// Tells it which instances there are now, if it is one of the stack's processes.
    pub fn tell_prometheus(&self) -> Result<()> {
        match self.is_observed()? {
            true => self.prometheus().set_targets(&self.targets()?),
            false => Ok(()),
        }
    }

    /// Stops it and removes what it measured. Tells whether it ran, paused or not.
    pub async fn empty_prometheus(&self) -> Result<bool> {
        let ran = self.processes.runs(PROMETHEUS)?;
        match ran {
            true => drop(self.processes.stop(PROMETHEUS, PROMETHEUS_GRACE).await?),
            false => self.processes.forget(PROMETHEUS)?,
        }
        self.prometheus().remove_data()?;
        Ok(ran)
    }

    /// Every known instance, also one that ended: that it cannot be scraped is what there is to see of it.
    fn targets(&self) -> Result<String> {
        let mut list = Vec::new();
        for workload in Workload::ALL {
            for one in self.known(workload)? {
                let url = one.instance(self.sandbox)?.url;
                let address = url.trim_start_matches("http://");
                list.push(json!({"labels": {"job": workload.name()}, "targets": [address]}));
            }
        }
        serde_json::to_string_pretty(&list).context("cannot write down what is scraped")
    }
}
