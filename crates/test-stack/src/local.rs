//! Broker and database server as local processes.

use crate::backend::{GRACE, ServerKind};
use anyhow::{Context, Result, bail, ensure};
use local_runtime::backends::{Backends, START_LIMIT};
use local_runtime::database::DatabaseServer;
use local_runtime::download::{KAFKA_VERSION, Sources};
use local_runtime::kafka::KAFKA;
use local_runtime::postgres::POSTGRES;
use local_runtime::process::{Processes, StopOutcome};
use local_runtime::state_dir::StateDir;
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
        let state_dir = temporary_state_dir()?;
        let local = Self {
            backends: Backends::on_free_ports(&state_dir, &installation)?,
            processes: Processes::kill_on_drop(&state_dir),
        };
        local.backends.start(&local.processes).await?;
        Ok(local)
    }

    pub(crate) fn kafka(&self) -> SocketAddr {
        SocketAddr::new(self.backends.kafka.address, self.backends.kafka.port)
    }

    pub(crate) fn postgres(&self) -> DatabaseServer {
        self.backends.postgres.server()
    }

    pub(crate) fn processes(&self) -> &Processes {
        &self.processes
    }

    pub(crate) async fn stop(&self, server: ServerKind) -> Result<()> {
        match self.processes.stop(name(server), GRACE).await? {
            StopOutcome::InTime => Ok(()),
            StopOutcome::NotRunning => bail!("it does not run"),
            StopOutcome::Killed => bail!("it did not stop within {GRACE:?}"),
        }
    }

    pub(crate) async fn kill(&self, server: ServerKind) -> Result<()> {
        require_running(self.processes.kill(name(server)).await?)
    }

    pub(crate) async fn restart(&self, server: ServerKind) -> Result<()> {
        let Self {
            backends,
            processes,
        } = self;
        match server {
            ServerKind::Kafka => {
                backends.kafka.start(processes).await?;
                backends.kafka.ready(processes, START_LIMIT).await
            }
            ServerKind::Postgres => {
                backends.postgres.start(processes).await?;
                backends.postgres.ready(processes, START_LIMIT).await
            }
        }
    }

    pub(crate) fn pause(&self, server: ServerKind) -> Result<()> {
        require_running(self.processes.pause(name(server))?)
    }

    pub(crate) fn resume(&self, server: ServerKind) -> Result<()> {
        require_running(self.processes.resume(name(server))?)
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

fn name(server: ServerKind) -> &'static str {
    match server {
        ServerKind::Kafka => KAFKA,
        ServerKind::Postgres => POSTGRES,
    }
}

fn require_running(runs: bool) -> Result<()> {
    ensure!(runs, "it does not run");
    Ok(())
}

/// The installation that the tests of this checkout use.
pub fn sources() -> Sources {
    let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    Sources {
        dist: checkout.join(".sandbox/dist"),
        kafka_version: std::env::var_os("KAFKA_VERSION")
            .and_then(|version| version.into_string().ok())
            .unwrap_or(KAFKA_VERSION.to_owned()),
        kafka_home: std::env::var_os("KAFKA_HOME").map(PathBuf::from),
        pg_bin: std::env::var_os("PG_BIN").map(PathBuf::from),
    }
}

/// A state directory for one stack. It is not below the checkout, because PostgreSQL may run as
/// another user.
pub(crate) fn temporary_state_dir() -> Result<StateDir> {
    let folder = tempfile::Builder::new()
        .prefix("saga-sandbox-test-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    // The supervisors remove the folder, also when this process is killed.
    StateDir::at(&folder.keep())
}
