//! [`Stack`]: the processes of one stack: what runs, and which command may change it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use local_runtime::state_dir::{StateDir, StateDirLock};
use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{Processes, ProcessRecord, ProcessState};
use local_runtime::prometheus::PROMETHEUS;
use tokio::time::{Instant, sleep};

use crate::sandbox::{Instance, Sandbox};
use crate::saved_settings::SavedSettings;
use crate::target::AnyTarget;
use crate::terminal::note;
use crate::workload::Workload;

/// How long a command waits for another one that changes the same stack.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// The processes of one stack.
#[derive(Debug)]
pub struct Stack<'a> {
    /// Where it is.
    pub sandbox: &'a Sandbox,
    /// Records and signals.
    pub processes: Processes,
    /// Asks services how they are.
    pub http: reqwest::Client,
    home: StateDir,
}

impl<'a> Stack<'a> {
    /// The stack of this sandbox. Makes its folder if there is none; starts nothing.
    pub fn open(sandbox: &'a Sandbox) -> Result<Self> {
        let home = StateDir::at(sandbox.home())?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            sandbox,
            processes: Processes::detached(&home),
            http,
            home,
        })
    }

    /// The folder of the stack.
    pub fn home(&self) -> &StateDir {
        &self.home
    }

    /// The right to change which processes run, until it is dropped. Two commands at once would each see half of what the
    /// other does. Waits for the other one.
    pub async fn lock(&self) -> Result<StateDirLock> {
        let deadline = Instant::now() + LOCK_LIMIT;
        let mut told = false;
        loop {
            if let Some(lock) = self.home.try_lock()? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                bail!(
                    "another sandbox command has been changing this stack for {} s: wait for it or end it, then try again",
                    LOCK_LIMIT.as_secs()
                );
            }
            if !told {
                note("waiting for another sandbox command that changes this stack");
                told = true;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is remembered beside the processes.
    pub fn memory(&self) -> Result<SavedSettings> {
        SavedSettings::load(self.home.folder())
    }

    /// The instances of a program that were ever started since the last `down`, by slot, running or not.
    pub fn known(&self, workload: impl Into<Workload>) -> Result<Vec<Known>> {
        let workload = workload.into();
        let mut known = Vec::new();
        for record in self.processes.records()? {
            let Some(slot) = slot_of(&record.name, workload) else {
                continue;
            };
            let state = self.processes.state(&record)?;
            known.push(Known {
                workload,
                slot,
                record,
                state,
            });
        }
        known.sort_by_key(|one| one.slot);
        Ok(known)
    }

    /// The names of the processes that a target means: of a program without slot, all its known instances.
    pub fn names(&self, target: AnyTarget) -> Result<Vec<String>> {
        Ok(match target {
            AnyTarget::Kafka => vec![KAFKA.to_owned()],
            AnyTarget::Postgres => vec![POSTGRES.to_owned()],
            AnyTarget::Prometheus => vec![PROMETHEUS.to_owned()],
            AnyTarget::Workload(target) => match target.slot {
                Some(slot) => vec![process_name(target.of, slot)],
                None => {
                    let known = self.known(target.of)?;
                    known.into_iter().map(|one| one.record.name).collect()
                }
            },
        })
    }

    /// What became of the process of this name; `None` if it was never started.
    pub fn state(&self, name: &str) -> Result<Option<ProcessState>> {
        match self.processes.record(name)? {
            Some(record) => self.processes.state(&record).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the broker runs, and is not paused.
    pub fn kafka_runs(&self) -> Result<bool> {
        Ok(self.state(KAFKA)? == Some(ProcessState::Running))
    }

    /// The names of all processes that run, paused ones included.
    pub fn running(&self) -> Result<Vec<String>> {
        let records = self.processes.records()?;
        let alive = records.into_iter().filter(|record| record.process.is_alive());
        Ok(alive.map(|record| record.name).collect())
    }
}

/// An instance that was started, whatever became of it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Of which program.
    pub workload: Workload,
    /// Its number, counted from 1.
    pub slot: u32,
    /// Its process.
    pub record: ProcessRecord,
    /// What became of it.
    pub state: ProcessState,
}

impl Known {
    /// Whether the process lives, paused or not.
    pub fn lives(&self) -> bool {
        !matches!(self.state, ProcessState::Ended(_))
    }

    /// The port it was started with: the settings of the command that looks may be others.
    pub fn port(&self) -> Option<u16> {
        self.record.labels.get(crate::services::PORT_LABEL)?.parse().ok()
    }

    /// As others see it.
    pub fn instance(&self, sandbox: &Sandbox) -> Result<Instance> {
        let port = match self.port() {
            Some(port) => port,
            None => sandbox.port(self.workload, self.slot)?,
        };
        Ok(Instance {
            workload: self.workload,
            slot: self.slot,
            url: sandbox.http_url(port),
        })
    }
}

/// The name of an instance's process: `inventory-service.2`.
pub fn process_name(workload: impl Into<Workload>, slot: u32) -> String {
    format!("{}.{slot}", workload.into())
}

fn slot_of(name: &str, workload: Workload) -> Option<u32> {
    name.strip_prefix(workload.name())?
        .strip_prefix('.')?
        .parse()
        .ok()
}

/// How a process ended, in words.
pub fn ending(code: Option<i32>) -> String {
    match code {
        None => "ended, nobody saw how".to_owned(),
        Some(137) => "killed by SIGKILL".to_owned(),
        Some(code) if code > 128 => format!("ended by signal {}", code - 128),
        Some(code) => format!("ended with exit code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use shared_events::Service;

    use super::*;

    #[test]
    fn a_process_name_belongs_to_exactly_one_program_and_slot() {
        let (order, inventory) = (Service::Order.into(), Service::Inventory.into());
        let name = process_name(Service::Inventory, 2);
        assert_eq!(slot_of(&name, inventory), Some(2));
        assert_eq!(slot_of(&name, order), None);
        assert_eq!(slot_of("inventory-service", inventory), None);
        assert_eq!(slot_of("kafka", order), None);
    }
}
