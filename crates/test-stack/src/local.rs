//! Broker and database server as local processes.

use crate::backing::{GRACE, Part};
use anyhow::{Context, Result, bail, ensure};
use local_runtime::backends::{Backends, START_LIMIT};
use local_runtime::database::Server;
use local_runtime::dist::Sources;
use local_runtime::home::Home;
use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{Processes, Stopped};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Local {
    backends: Backends,
    processes: Processes,
}

impl Local {
    pub(crate) async fn start_both() -> Result<Self> {
        let installation = sources()
            .fetch(false, |_| {})
            .await
            .context("Kafka and PostgreSQL are not on this machine")?;
        let home = fresh_home()?;
        let local = Self {
            backends: Backends::on_free_ports(&home, &installation)?,
            processes: Processes::guarded(&home),
        };
        local.backends.start(&local.processes).await?;
        Ok(local)
    }

    pub(crate) fn kafka(&self) -> SocketAddr {
        SocketAddr::new(self.backends.kafka.address, self.backends.kafka.port)
    }

    pub(crate) fn server(&self) -> Server {
        self.backends.postgres.server()
    }

    pub(crate) fn processes(&self) -> &Processes {
        &self.processes
    }

    pub(crate) async fn stop(&self, part: Part) -> Result<()> {
        let name = match part {
            Part::Kafka => KAFKA,
            Part::Postgres => POSTGRES,
        };
        match self.processes.stop(name, GRACE).await? {
            Stopped::InTime => Ok(()),
            Stopped::NotRunning => bail!("it does not run"),
            Stopped::Killed => bail!("not within {GRACE:?}"),
        }
    }

    pub(crate) async fn kill(&self, part: Part) -> Result<()> {
        runs(self.processes.kill(name(part)).await?)
    }

    pub(crate) async fn start_again(&self, part: Part) -> Result<()> {
        let Self {
            backends,
            processes,
        } = self;
        match part {
            Part::Kafka => {
                backends.kafka.start(processes).await?;
                backends.kafka.ready(processes, START_LIMIT).await
            }
            Part::Postgres => {
                backends.postgres.start(processes).await?;
                backends.postgres.ready(processes, START_LIMIT).await
            }
        }
    }

    pub(crate) fn pause(&self, part: Part) -> Result<()> {
        runs(self.processes.pause(name(part))?)
    }

    pub(crate) fn resume(&self, part: Part) -> Result<()> {
        runs(self.processes.resume(name(part))?)
    }

    pub(crate) fn change_kafka_file(
        &self,
        file: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let path = self.backends.kafka.data().join(file);
        let mut bytes =
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        change(&mut bytes);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Kafka => KAFKA,
        Part::Postgres => POSTGRES,
    }
}

fn runs(it: bool) -> Result<()> {
    ensure!(it, "it does not run");
    Ok(())
}

/// Where the tests of this checkout find Kafka and PostgreSQL.
pub(crate) fn sources() -> Sources {
    let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    Sources {
        dist: checkout.join(".sandbox/dist"),
        kafka_home: std::env::var_os("KAFKA_HOME").map(PathBuf::from),
        pg_bin: std::env::var_os("PG_BIN").map(PathBuf::from),
    }
}

/// A folder of its own for each stack, where also another user can go: PostgreSQL does not run as root.
pub(crate) fn fresh_home() -> Result<Home> {
    let folder = tempfile::Builder::new()
        .prefix("saga-sandbox-test-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    // From here on the keepers remove it: they outlive a process that is killed.
    Home::at(&folder.keep())
}
