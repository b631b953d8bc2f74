//! The processes of one stack: which of them run, and the lock that a command holds while it changes them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use local_runtime::kafka::{KAFKA, Node};
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{ProcessRecord, ProcessState, Processes};
use local_runtime::prometheus::PROMETHEUS;
use local_runtime::state_dir::{StateDir, StateDirLock};
use tokio::time::{Instant, sleep};

use crate::instances::PORT_LABEL;
use crate::layout::{Instance, StackLayout};
use crate::saved_settings::SavedSettings;
use crate::target::ProcessTarget;
use crate::terminal::{Usage, note};
use crate::workload::Workload;

/// How long a command waits for the lock of another command.
const LOCK_LIMIT: Duration = Duration::from_secs(60);

/// The pause between two tries to get the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The processes of one stack. Every method that starts or stops a process expects the caller to hold [`Stack::lock`].
#[derive(Debug)]
pub struct Stack<'a> {
    /// Where the stack is.
    pub layout: &'a StackLayout,
    /// The process records, and the signals to processes.
    pub processes: Processes,
    /// The client for readiness probes.
    pub http: reqwest::Client,
    state_dir: StateDir,
}

impl<'a> Stack<'a> {
    /// The stack of this layout. Creates its folder if there is none; starts no process.
    pub fn open(layout: &'a StackLayout) -> Result<Self> {
        let state_dir = StateDir::at(layout.home())?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("cannot create an HTTP client")?;
        Ok(Self {
            layout,
            processes: Processes::detached(&state_dir),
            http,
            state_dir,
        })
    }

    /// The folder of the stack.
    pub fn state_dir(&self) -> &StateDir {
        &self.state_dir
    }

    /// The right to change which processes run, until the lock is dropped. Waits at most 60 s for another command:
    /// two commands at once would each act on a state that the other is changing. Writes the records of processes again that
    /// cannot be read or are missing.
    pub async fn lock(&self) -> Result<StateDirLock> {
        let deadline = Instant::now() + LOCK_LIMIT;
        let mut noted = false;
        loop {
            if let Some(lock) = self.state_dir.try_lock()? {
                self.processes.repair_records()?.iter().for_each(note);
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                bail!(
                    "another sandbox command has been changing this stack for {} s: wait for it or end it, then try again",
                    LOCK_LIMIT.as_secs()
                );
            }
            if !noted {
                note("waiting for another sandbox command that changes this stack");
                noted = true;
            }
            sleep(LOCK_INTERVAL).await;
        }
    }

    /// The changed settings and the list of killed processes.
    pub fn saved_settings(&self) -> Result<SavedSettings> {
        Ok(SavedSettings::load(self.state_dir.folder()))
    }

    /// Changes and saves the settings.
    pub fn update_saved_settings(&self, change: impl FnOnce(&mut SavedSettings)) -> Result<()> {
        let mut saved = self.saved_settings()?;
        change(&mut saved);
        saved.save(self.state_dir.folder())
    }

    /// The instances of a workload that were started since the last `down`, by slot, running or not.
    pub fn started_instances(&self, workload: impl Into<Workload>) -> Result<Vec<StartedInstance>> {
        let workload = workload.into();
        let mut started = Vec::new();
        for record in self.processes.records()? {
            let Some(slot) = workload.slot_of(&record.name) else {
                continue;
            };
            let state = self.processes.state(&record)?;
            started.push(StartedInstance {
                workload,
                slot,
                record,
                state,
            });
        }
        started.sort_by_key(|one| one.slot);
        Ok(started)
    }

    /// The names of the processes of a target. A workload without slot means all its started instances.
    pub fn process_names(&self, target: ProcessTarget) -> Result<Vec<String>> {
        Ok(match target {
            ProcessTarget::Kafka(id) => {
                let nodes = self.nodes(id)?;
                nodes.into_iter().map(Node::name).collect()
            }
            ProcessTarget::Postgres => vec![POSTGRES.to_owned()],
            ProcessTarget::Prometheus => vec![PROMETHEUS.to_owned()],
            ProcessTarget::Workload(target) => match target.slot {
                Some(slot) => vec![target.of.process_name(slot)],
                None => {
                    let started = self.started_instances(target.of)?;
                    started.into_iter().map(|one| one.record.name).collect()
                }
            },
        })
    }

    /// The broker of this id, or all brokers.
    ///
    /// # Errors
    /// If the stack has one broker, which has no number.
    pub fn nodes(&self, id: Option<u16>) -> Result<Vec<Node>> {
        let nodes = self.layout.brokers();
        match id {
            None => Ok(nodes),
            Some(id) if nodes.len() == 1 => Err(Usage::error(format_args!(
                "{KAFKA}.{id}: this stack has one broker, {KAFKA}; ./sandbox up --brokers 3 starts a new stack with three"
            ))),
            Some(id) => Ok(nodes.into_iter().filter(|node| node.id == id).collect()),
        }
    }

    /// The state of the process of this name; `None` if it was never started.
    pub fn state(&self, name: &str) -> Result<Option<ProcessState>> {
        match self.processes.record(name)? {
            Some(record) => self.processes.state(&record).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the broker runs; of three brokers, whether two do: the controllers among them need a majority, and a record two
    /// replicas. A paused broker does not run.
    pub fn kafka_runs(&self) -> Result<bool> {
        let nodes = self.layout.brokers();
        let mut running = 0;
        for node in &nodes {
            running += usize::from(self.state(&node.name())? == Some(ProcessState::Running));
        }
        Ok(running * 2 > nodes.len())
    }

    /// Broker and database, if they do not run or are paused; see [`Stack::kafka_runs`].
    pub fn unavailable_backends(&self) -> Result<Vec<&'static str>> {
        let mut unavailable = Vec::new();
        if !self.kafka_runs()? {
            unavailable.push(KAFKA);
        }
        if self.state(POSTGRES)? != Some(ProcessState::Running) {
            unavailable.push(POSTGRES);
        }
        Ok(unavailable)
    }

    /// The names of all processes that are alive, paused ones included.
    pub fn alive_processes(&self) -> Result<Vec<String>> {
        let records = self.processes.records()?;
        let alive = records
            .into_iter()
            .filter(|record| record.process.is_alive());
        Ok(alive.map(|record| record.name).collect())
    }

    /// The names of the alive processes of the targets; an error if a target has none.
    pub fn alive_processes_of(&self, targets: &[ProcessTarget]) -> Result<Vec<String>> {
        let alive = self.alive_processes()?;
        let mut names = Vec::new();
        for target in targets {
            let mut found = self.process_names(*target)?;
            found.retain(|name| alive.contains(name));
            if found.is_empty() {
                bail!("{target} does not run: ./sandbox up {target}");
            }
            names.extend(found);
        }
        names.dedup();
        Ok(names)
    }
}

/// An instance that was started since the last `down`, running or not.
#[derive(Debug, Clone)]
pub struct StartedInstance {
    /// The program of the instance.
    pub workload: Workload,
    /// The number of the instance, counted from 1.
    pub slot: u32,
    /// The record of its process.
    pub record: ProcessRecord,
    /// The state of its process.
    pub state: ProcessState,
}

impl StartedInstance {
    /// Whether the process is alive, paused or not.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, ProcessState::Ended(_))
    }

    /// The port that the instance was started with. The settings of the present command may name another one.
    pub fn port(&self) -> Option<u16> {
        self.record.labels.get(PORT_LABEL)?.parse().ok()
    }

    /// The instance with its address.
    pub fn instance(&self, layout: &StackLayout) -> Result<Instance> {
        let port = match self.port() {
            Some(port) => port,
            None => layout.port(self.workload, self.slot)?,
        };
        Ok(Instance {
            workload: self.workload,
            slot: self.slot,
            url: layout.http_url(port),
        })
    }
}

/// How a process ended, in words. `None` means that no exit code was recorded.
pub fn describe_exit(code: Option<i32>) -> String {
    match code {
        None => "ended with an unknown exit code".to_owned(),
        Some(137) => "killed by SIGKILL".to_owned(),
        Some(code) if code > 128 => format!("ended by signal {}", code - 128),
        Some(code) => format!("ended with exit code {code}"),
    }
}
