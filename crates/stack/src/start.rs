//! Starts the processes of a plan. Broker and database start at the same time. Services do not wait for the broker, since a
//! service waits by itself for what it needs. But they start after the databases exist: their attempts to connect would fill
//! the database's log with errors.

use anyhow::{Error, Result, bail};
use futures::future::join_all;
use local_runtime::process::ProcessState;

use crate::Stack;
use crate::instances::{InstanceId, READY_LIMIT};
use crate::interrupt::{InterruptGuard, Interrupted};
use crate::readiness_probe::ProbeResult;
use crate::start_plan::StartPlan;
use crate::terminal::{Progress, note};

/// The names of the processes of a plan, by what was done to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartReport {
    /// The processes that ran already.
    pub already_running: Vec<String>,
    /// The processes that were paused and now run.
    pub continued: Vec<String>,
    /// The processes that were started.
    pub started: Vec<String>,
}

impl Stack<'_> {
    /// Starts the processes of the plan and waits until they are ready, unless the plan says otherwise. Ctrl-C stops again
    /// what this call started, in order, and makes it fail. After another failure what was started still runs, to be examined;
    /// a note names it. The error names a full file system first.
    pub async fn start(&self, plan: &StartPlan, guard: &InterruptGuard) -> Result<StartReport> {
        let report = self.expected_report(plan)?;
        let mut first_starts = report.started.clone();
        let records = self.processes.records()?;
        first_starts.retain(|name| !records.iter().any(|record| record.name == *name));
        self.require_free_ports(plan)?;
        self.require_disk_space(plan)?;
        self.update_saved_settings(|saved| {
            for name in plan.process_names() {
                saved.unmark_killed(&name);
            }
            for (workload, _) in &plan.instances {
                saved.set_scaled_to_zero(*workload, false);
            }
        })?;
        match self.start_and_wait(plan, guard).await {
            Err(error) if error.is::<Interrupted>() => {
                note("interrupted: stopping what was started");
                self.stop_processes(&report.started).await?;
                for name in &first_starts {
                    self.processes.forget(name)?;
                }
                self.update_instance_lists()?;
                bail!("interrupted; what this command had started is stopped again")
            }
            Err(error) => Err(self.failed_start(error, &report)?),
            Ok(()) => Ok(report),
        }
    }

    /// Names the processes that this call has started and that still run, and the full file system if there is one.
    fn failed_start(&self, error: Error, report: &StartReport) -> Result<Error> {
        let mut alive = self.alive_processes()?;
        alive.retain(|name| report.started.contains(name));
        if !alive.is_empty() {
            note(format_args!(
                "started, and still running: {} (./sandbox status shows more, ./sandbox down stops everything)",
                alive.join(", ")
            ));
        }
        self.name_shortage(error)
    }

    fn expected_report(&self, plan: &StartPlan) -> Result<StartReport> {
        let mut report = StartReport::default();
        for name in plan.process_names() {
            match self.state(&name)? {
                Some(ProcessState::Running) => report.already_running.push(name),
                Some(ProcessState::Paused) => report.continued.push(name),
                Some(ProcessState::Ended(_)) | None => report.started.push(name),
            }
        }
        Ok(report)
    }

    async fn start_and_wait(&self, plan: &StartPlan, guard: &InterruptGuard) -> Result<()> {
        let progress = Progress::new("starting");
        self.start_all(plan, guard).await?;
        if plan.no_wait {
            return Ok(());
        }
        let unavailable = self.unavailable_backends()?;
        if !unavailable.is_empty() && !plan.instances.is_empty() {
            note(format_args!(
                "{} {} down on purpose, so this command does not wait until the services are ready: ./sandbox up {}",
                unavailable.join(" and "),
                if unavailable.len() == 1 { "is" } else { "are" },
                unavailable.join(" ")
            ));
            return guard
                .unless_interrupted(self.wait_listening(&plan.instances, READY_LIMIT))
                .await;
        }
        let on_change = |name: &str, seen: &ProbeResult| {
            progress.say(format!("waiting for {name}: {seen}"));
        };
        guard
            .unless_interrupted(self.wait_ready(&plan.instances, READY_LIMIT, &on_change))
            .await
    }

    /// Afterwards broker, database and Prometheus are ready, and the instances are started.
    async fn start_all(&self, plan: &StartPlan, guard: &InterruptGuard) -> Result<()> {
        let kafka = async {
            match plan.kafka.is_empty() {
                true => Ok(()),
                false => self.start_kafka(&plan.kafka, guard).await,
            }
        };
        let postgres_then_instances = async {
            if plan.postgres {
                self.start_postgres(guard).await?;
            }
            let instances = plan.instances.iter();
            let instances = instances.map(|id| self.start_or_continue(*id, guard));
            let started = join_all(instances).await;
            started.into_iter().collect::<Result<()>>()
        };
        let prometheus = async {
            match plan.prometheus {
                true => self.start_prometheus(guard).await,
                false => Ok(()),
            }
        };
        // lag-monitor finds the file from its first poll on.
        self.update_instance_lists()?;
        // Each of them runs to its end, also when one fails: a process that is being started must get its record.
        let (kafka, others, prometheus) = tokio::join!(kafka, postgres_then_instances, prometheus);
        let started = kafka.and(others).and(prometheus);
        started.and(self.update_instance_lists())
    }

    async fn start_or_continue(&self, id: InstanceId, guard: &InterruptGuard) -> Result<()> {
        guard.check()?;
        let name = id.0.process_name(id.1);
        match self.state(&name)? {
            Some(ProcessState::Running) => Ok(()),
            Some(ProcessState::Paused) => self.processes.resume(&name).map(drop),
            Some(ProcessState::Ended(_)) | None => self.start_instance(id).await,
        }
    }
}
