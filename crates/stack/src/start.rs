//! A stack brought up: broker, database and services at the same time, since a service waits for what it needs by itself.

use anyhow::{Result, bail};
use futures::future::join_all;
use local_runtime::kafka::{KAFKA, KAFKA_GRACE};
use local_runtime::ports;
use local_runtime::postgres::{POSTGRES, POSTGRES_GRACE};
use local_runtime::process::ProcessState;
use local_runtime::prometheus::{PROMETHEUS, PROMETHEUS_GRACE};

use crate::interrupt::{Hold, Interrupted};
use crate::services::{READY_LIMIT, Slot};
use crate::{Stack, process_name};
use crate::terminal::{Progress, note};
use crate::workload::Workload;

/// What shall run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The broker.
    pub kafka: bool,
    /// The database.
    pub postgres: bool,
    /// Who watches.
    pub prometheus: bool,
    /// Instances of services.
    pub slots: Vec<Slot>,
    /// Only start the services. Broker and database are waited for all the same: the topics and databases are made in them.
    pub no_wait: bool,
}

/// What became of each process that was wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// Those that ran already.
    pub ran: Vec<String>,
    /// Those that were paused, and go on.
    pub continued: Vec<String>,
    /// Those that were started.
    pub started: Vec<String>,
}

impl Wanted {
    fn names(&self) -> Vec<String> {
        let kafka = self.kafka.then(|| KAFKA.to_owned());
        let postgres = self.postgres.then(|| POSTGRES.to_owned());
        let slots = self
            .slots
            .iter()
            .map(|(service, slot)| process_name(*service, *slot));
        let prometheus = self.prometheus.then(|| PROMETHEUS.to_owned());
        let backends = kafka.into_iter().chain(postgres);
        backends.chain(slots).chain(prometheus).collect()
    }
}

impl Stack<'_> {
    /// Brings up what is wanted and waits until it is ready, unless that is not wanted. On Ctrl-C, stops again what this call started, in order, and
    /// fails. The caller holds the lock.
    pub async fn bring(&self, wanted: &Wanted, hold: &Hold) -> Result<Brought> {
        let brought = self.survey(wanted)?;
        let mut unknown = brought.started.clone();
        let records = self.processes.records()?;
        unknown.retain(|name| !records.iter().any(|record| record.name == *name));
        self.require_free_ports(wanted)?;
        self.remember_wanted(wanted)?;
        match self.bring_all(wanted, hold).await {
            Err(error) if error.is::<Interrupted>() => {
                note("interrupted: stopping what was started");
                self.stop_names(&brought.started).await?;
                for name in &unknown {
                    self.processes.forget(name)?;
                }
                self.tell_prometheus()?;
                bail!("interrupted; what this command had started is stopped again")
            }
            Err(error) => Err(error),
            Ok(()) => Ok(brought),
        }
    }

    fn survey(&self, wanted: &Wanted) -> Result<Brought> {
        let mut brought = Brought::default();
        for name in wanted.names() {
            match self.state(&name)? {
                Some(ProcessState::Running) => brought.ran.push(name),
                Some(ProcessState::Paused) => brought.continued.push(name),
                Some(ProcessState::Ended(_)) | None => brought.started.push(name),
            }
        }
        Ok(brought)
    }

    /// All ports that are taken, at once: a person who frees one and tries again should not meet the next.
    pub fn require_free_ports(&self, wanted: &Wanted) -> Result<()> {
        let settings = self.sandbox.settings();
        let mut needed = Vec::new();
        if wanted.kafka {
            needed.push((KAFKA.to_owned(), settings.kafka_port, "KAFKA_PORT"));
        }
        if wanted.postgres {
            needed.push((POSTGRES.to_owned(), settings.postgres_port, "POSTGRES_PORT"));
        }
        for (service, slot) in &wanted.slots {
            let port = self.sandbox.port(*service, *slot)?;
            needed.push((process_name(*service, *slot), port, service.port_setting()));
        }
        if wanted.prometheus {
            let port = settings.prometheus_port;
            needed.push((PROMETHEUS.to_owned(), port, "PROMETHEUS_PORT"));
        }
        let mut taken = Vec::new();
        for (name, port, setting) in needed {
            if matches!(self.state(&name)?, Some(ProcessState::Ended(_)) | None) {
                let free = ports::require_free(&name, settings.bind_addr, port, setting);
                taken.extend(free.err().map(|error| error.to_string()));
            }
        }
        if !taken.is_empty() {
            bail!("{}", taken.join("; "));
        }
        Ok(())
    }

    fn remember_wanted(&self, wanted: &Wanted) -> Result<()> {
        let mut memory = self.memory()?;
        for name in wanted.names() {
            memory.wanted(&name);
        }
        memory.save(self.home().folder())
    }

    async fn bring_all(&self, wanted: &Wanted, hold: &Hold) -> Result<()> {
        let progress = Progress::new("starting");
        self.start_all(wanted, hold).await?;
        if wanted.no_wait {
            return Ok(());
        }

        let away = self.away()?;
        if !away.is_empty() && !wanted.slots.is_empty() {
            note(format_args!(
                "{} {} down on purpose, so no service is waited for: ./sandbox up {}",
                away.join(" and "),
                if away.len() == 1 { "is" } else { "are" },
                away.join(" ")
            ));
            return hold
                .or(self.wait_listening(&wanted.slots, READY_LIMIT))
                .await;
        }
        let seen = |name: &str, answer: &crate::ready::Answer| {
            progress.say(format!("waiting for {name}: {answer}"));
        };
        hold.or(self.wait_ready(&wanted.slots, READY_LIMIT, &seen))
            .await
    }

    /// Broker, database and Prometheus are ready afterwards, the services are started.
    async fn start_all(&self, wanted: &Wanted, hold: &Hold) -> Result<()> {
        let kafka = async {
            match wanted.kafka {
                true => self.bring_kafka(hold).await,
                false => Ok(()),
            }
        };
        let postgres = async {
            match wanted.postgres {
                true => self.bring_postgres(hold).await,
                false => Ok(()),
            }
        };
        let prometheus = async {
            match wanted.prometheus {
                true => self.bring_prometheus(hold).await,
                false => Ok(()),
            }
        };
        let services = join_all(
            wanted
                .slots
                .iter()
                .map(|slot| self.bring_instance(*slot, hold)),
        );
        // All to the end, also when one fails: another may be about to start a process, and must come to know its id.
        let (kafka, postgres, prometheus, services) =
            tokio::join!(kafka, postgres, prometheus, services);
        let backends = kafka.and(postgres).and(prometheus);
        let backends = backends.and(self.tell_prometheus());
        services.into_iter().fold(backends, Result::and)
    }

    async fn bring_instance(&self, slot: Slot, hold: &Hold) -> Result<()> {
        hold.check()?;
        let name = process_name(slot.0, slot.1);
        match self.state(&name)? {
            Some(ProcessState::Running) => Ok(()),
            Some(ProcessState::Paused) => self.processes.resume(&name).map(drop),
            Some(ProcessState::Ended(_)) | None => self.start_instance(slot).await,
        }
    }

    /// Broker and database, as far as they do not run or are paused.
    pub fn away(&self) -> Result<Vec<&'static str>> {
        let mut away = Vec::new();
        for name in [KAFKA, POSTGRES] {
            if self.state(name)? != Some(ProcessState::Running) {
                away.push(name);
            }
        }
        Ok(away)
    }

    /// Stops processes by name: services first and at the same time, then broker, database and Prometheus. What does not run is stopped
    /// already.
    pub async fn stop_names(&self, names: &[String]) -> Result<()> {
        let mut slots: Vec<Slot> = Vec::new();
        for workload in Workload::ALL {
            let known = self.known(workload)?.into_iter();
            let wanted = known.filter(|one| names.contains(&one.record.name));
            slots.extend(wanted.map(|one| (workload, one.slot)));
        }
        self.stop_instances(&slots).await?;
        let stop = async |name: &str, grace| match names.iter().any(|wanted| wanted == name) {
            true => self.processes.stop(name, grace).await.map(drop),
            false => Ok(()),
        };
        tokio::try_join!(
            stop(KAFKA, KAFKA_GRACE),
            stop(POSTGRES, POSTGRES_GRACE),
            stop(PROMETHEUS, PROMETHEUS_GRACE)
        )
        .map(drop)
    }
}
