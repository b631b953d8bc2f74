//! Instances of services and tools: started, stopped, and waited for until they are ready.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::future::try_join_all;
use local_runtime::process::{ProcessState, Program, StopOutcome};
use service_kit::settings::DRAIN_TIMEOUT;
use tokio::time::{Instant, sleep};

use crate::readiness_probe::{ProbeResult, probe};
use crate::settings::environment;
use crate::workload::Workload;
use crate::{Stack, describe_exit, process_name};

/// The label of a process record that holds the port of the instance.
pub const PORT_LABEL: &str = "port";

/// How long an instance may take until it is ready. A group whose member was killed waits for the end of its session (6 s),
/// and the broker of a cold machine starts slowly.
pub const READY_LIMIT: Duration = Duration::from_secs(60);

/// The time after its drain time-out in which a service closes its connections.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// The pause between two readiness probes of an instance.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A workload and the slot of one of its instances.
pub type InstanceId = (Workload, u32);

impl Stack<'_> {
    /// Starts an instance with its settings. Returns when its process exists; see [`Stack::wait_ready`].
    pub async fn start_instance(&self, (workload, slot): InstanceId) -> Result<()> {
        let changed = self.saved_settings()?.settings(workload);
        let environment = environment(self.layout, workload, slot, &changed)?;
        let binary = self.layout.binary(workload);
        if !binary.is_file() {
            bail!(
                "{} does not exist: build it with `cargo build --release --workspace --bins`",
                binary.display()
            );
        }
        // `env -i` execs the binary with exactly these variables.
        let mut program = Program::new(process_name(workload, slot), "env");
        program.arguments.push("-i".into());
        for (name, value) in &environment {
            program.arguments.push(format!("{name}={value}").into());
        }
        program.arguments.push(binary.into());
        let arguments = workload.arguments().iter().copied();
        program.arguments.extend(arguments.map(Into::into));
        let port = self.layout.port(workload, slot)?.to_string();
        program.labels = BTreeMap::from([(PORT_LABEL.to_owned(), port)]);
        self.processes.start(&program).await.map(drop)
    }

    /// Stops instances at the same time: SIGTERM, then SIGKILL if an instance takes longer than its drain time-out + 5 s.
    pub async fn stop_instances(&self, slots: &[InstanceId]) -> Result<Vec<(String, StopOutcome)>> {
        let saved = self.saved_settings()?;
        let stops = slots.iter().map(|(service, slot)| {
            let drain = saved.settings(*service).get("DRAIN_TIMEOUT").cloned();
            let drain = drain.and_then(|text| humantime::parse_duration(&text).ok());
            let grace = drain.unwrap_or(DRAIN_TIMEOUT) + CLOSE_TIME;
            let name = process_name(*service, *slot);
            async move {
                let stopped = self.processes.stop(&name, grace).await?;
                Ok::<_, anyhow::Error>((name, stopped))
            }
        });
        try_join_all(stops).await
    }

    /// Waits until every instance is ready. Fails at once when one of them has ended, and after `within` with the last probe
    /// result. Calls `on_change` whenever the probe result of an instance changes.
    pub async fn wait_ready(
        &self,
        slots: &[InstanceId],
        within: Duration,
        on_change: &(dyn Fn(&str, &ProbeResult) + Sync),
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        let waits = slots
            .iter()
            .map(|slot| self.wait_one(*slot, deadline, within, on_change));
        try_join_all(waits).await.map(drop)
    }

    async fn wait_one(
        &self,
        (service, slot): InstanceId,
        deadline: Instant,
        within: Duration,
        on_change: &(dyn Fn(&str, &ProbeResult) + Sync),
    ) -> Result<()> {
        let name = process_name(service, slot);
        let url = self.layout.url(service, slot)?;
        let mut last = None;
        loop {
            let seen = probe(&self.http, &url).await;
            if seen.is_ready() {
                return Ok(());
            }
            self.require_alive(&name)?;
            if last.as_ref() != Some(&seen) {
                on_change(&name, &seen);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{name} is not ready after {} s; it is {seen}. Its log: ./sandbox logs {service}",
                    within.as_secs()
                );
            }
            last = Some(seen);
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until every instance answers HTTP, ready or not. Without broker or database no instance becomes ready.
    pub async fn wait_listening(&self, slots: &[InstanceId], within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        for (service, slot) in slots {
            let name = process_name(*service, *slot);
            let url = self.layout.url(*service, *slot)?;
            while matches!(probe(&self.http, &url).await, ProbeResult::NoAnswer(_)) {
                self.require_alive(&name)?;
                if Instant::now() >= deadline {
                    bail!(
                        "{name} does not answer at {url} after {} s",
                        within.as_secs()
                    );
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    fn require_alive(&self, name: &str) -> Result<()> {
        if let Some(ProcessState::Ended(code)) = self.state(name)? {
            let cause = self.processes.start_failure(name);
            let cause = cause.unwrap_or_else(|| "it wrote nothing to its log".to_owned());
            bail!("{name} {}: {cause}", describe_exit(code));
        }
        Ok(())
    }
}
