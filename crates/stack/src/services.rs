//! One instance of a program of ours: started, stopped, waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::future::try_join_all;
use local_runtime::process::{Program, ProcessState, StopOutcome};
use tokio::time::{Instant, sleep};

use crate::ready::{self, Answer};
use crate::settings::environment;
use crate::{Stack, ending, process_name};
use crate::workload::Workload;

/// The note on a process record that says where the instance listens.
pub const PORT_LABEL: &str = "port";

/// How long an instance may take until it is ready. A group whose member was killed waits for its session to end (6 s), and a
/// cold machine needs its time for the broker.
pub const READY_LIMIT: Duration = Duration::from_secs(60);

/// What a service gets beyond its drain time-out to close its connections.
const AFTER_DRAIN: Duration = Duration::from_secs(5);

/// How long a service drains unless it is told otherwise.
const DRAIN: Duration = Duration::from_secs(10);

/// Between two looks at something that is being waited for.
const TURN: Duration = Duration::from_millis(50);

/// An instance, by program and slot.
pub type Slot = (Workload, u32);

impl Stack<'_> {
    /// Starts an instance with its settings. Returns when it has a process; see [`Stack::wait_ready`].
    pub async fn start_instance(&self, (workload, slot): Slot) -> Result<()> {
        let changed = self.memory()?.settings(workload);
        let environment = environment(self.sandbox, workload, slot, &changed)?;
        let binary = self.sandbox.binary(workload);
        if !binary.is_file() {
            bail!(
                "{} is not there: build it with `cargo build --release --workspace --bins`",
                binary.display()
            );
        }
        // `env -i` becomes the program itself, with exactly these variables.
        let mut program = Program::new(process_name(workload, slot), "env");
        program.arguments.push("-i".into());
        for (name, value) in &environment {
            program.arguments.push(format!("{name}={value}").into());
        }
        program.arguments.push(binary.into());
        let arguments = workload.arguments().iter().copied();
        program.arguments.extend(arguments.map(Into::into));
        let port = self.sandbox.port(workload, slot)?.to_string();
        program.labels = BTreeMap::from([(PORT_LABEL.to_owned(), port)]);
        self.processes.start(&program).await.map(drop)
    }

    /// Stops instances at the same time: SIGTERM, the drain, and SIGKILL for those that take longer than it.
    pub async fn stop_instances(&self, slots: &[Slot]) -> Result<Vec<(String, StopOutcome)>> {
        let memory = self.memory()?;
        let stops = slots.iter().map(|(service, slot)| {
            let drain = memory.settings(*service).get("DRAIN_TIMEOUT").cloned();
            let drain = drain.and_then(|text| humantime::parse_duration(&text).ok());
            let grace = drain.unwrap_or(DRAIN) + AFTER_DRAIN;
            let name = process_name(*service, *slot);
            async move {
                let stopped = self.processes.stop(&name, grace).await?;
                Ok::<_, anyhow::Error>((name, stopped))
            }
        });
        try_join_all(stops).await
    }

    /// Waits until every one of these is ready. Fails at once when one has ended, and with what was seen last when the time is
    /// over. `seen` is told whenever the answer of an instance changes.
    pub async fn wait_ready(
        &self,
        slots: &[Slot],
        within: Duration,
        seen: &(dyn Fn(&str, &Answer) + Sync),
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        let waits = slots
            .iter()
            .map(|slot| self.wait_one(*slot, deadline, within, seen));
        try_join_all(waits).await.map(drop)
    }

    async fn wait_one(
        &self,
        (service, slot): Slot,
        deadline: Instant,
        within: Duration,
        seen: &(dyn Fn(&str, &Answer) + Sync),
    ) -> Result<()> {
        let name = process_name(service, slot);
        let url = self.sandbox.url(service, slot)?;
        let mut last = None;
        loop {
            let answer = ready::ask(&self.http, &url).await;
            if answer.is_ready() {
                return Ok(());
            }
            self.require_alive(&name)?;
            if last.as_ref() != Some(&answer) {
                seen(&name, &answer);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{name} is not ready after {} s; it is {answer}. Its log: ./sandbox logs {service}",
                    within.as_secs()
                );
            }
            last = Some(answer);
            sleep(TURN).await;
        }
    }

    /// Waits until each of these listens, ready or not: all that can be had while the broker or the database is away.
    pub async fn wait_listening(&self, slots: &[Slot], within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        for (service, slot) in slots {
            let name = process_name(*service, *slot);
            let url = self.sandbox.url(*service, *slot)?;
            while matches!(ready::ask(&self.http, &url).await, Answer::Silent(_)) {
                self.require_alive(&name)?;
                if Instant::now() >= deadline {
                    bail!(
                        "{name} does not answer at {url} after {} s",
                        within.as_secs()
                    );
                }
                sleep(TURN).await;
            }
        }
        Ok(())
    }

    fn require_alive(&self, name: &str) -> Result<()> {
        if let Some(ProcessState::Ended(code)) = self.state(name)? {
            let last = self.processes.last_log_line(name);
            let last = last.unwrap_or_else(|| "its log is empty".to_owned());
            bail!("{name} {}: {last}", ending(code));
        }
        Ok(())
    }
}
