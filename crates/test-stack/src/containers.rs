//! Broker and database server as containers of the Docker engine on this machine.

use crate::backend::{GRACE, ServerKind};
use crate::container_cleanup::{docker, label_value};
use crate::images;
use crate::local::temporary_state_dir;
use anyhow::{Context, Result, bail, ensure};
use local_runtime::backends::START_LIMIT;
use local_runtime::database::DatabaseServer;
use local_runtime::kafka::answers;
use local_runtime::process::Processes;
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, LazyLock, OnceLock, mpsc};
use std::time::Duration;
use testcontainers::bollard::query_parameters::KillContainerOptions;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

/// How often a starting server is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The exit code of a process killed by SIGKILL.
const KILLED: i64 = 128 + 9;

type Container = Arc<ContainerAsync<GenericImage>>;

pub(crate) struct Containers {
    kafka: SocketAddr,
    postgres: DatabaseServer,
    containers: BTreeMap<ServerKind, Container>,
    /// Created when a test asks for it: its folder would be left behind when this process is killed
    /// before it has started a program.
    processes: OnceLock<Processes>,
}

impl std::fmt::Debug for Containers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "containers on {} and {}", self.kafka, self.postgres.0)
    }
}

impl Containers {
    pub(crate) async fn start_both() -> Result<Self> {
        let label = label_value()?;
        let [kafka, postgres] = local_runtime::free_ports::free()?
            .map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        let mut both = Self {
            kafka,
            postgres: DatabaseServer(postgres),
            containers: BTreeMap::new(),
            processes: OnceLock::new(),
        };
        let (broker, database) = (
            images::kafka(kafka, &label),
            images::postgres(postgres, &label),
        );
        let (broker, database) =
            on_engine(async { tokio::join!(broker.start(), database.start()) }).await;
        for (server, started) in [
            (ServerKind::Kafka, broker),
            (ServerKind::Postgres, database),
        ] {
            let started =
                started.with_context(|| format!("cannot start the container of {server:?}"))?;
            both.containers.insert(server, Arc::new(started));
        }
        tokio::try_join!(
            both.ready(ServerKind::Kafka),
            both.ready(ServerKind::Postgres)
        )?;
        Ok(both)
    }

    pub(crate) fn kafka(&self) -> SocketAddr {
        self.kafka
    }

    pub(crate) fn postgres(&self) -> DatabaseServer {
        self.postgres
    }

    pub(crate) fn processes(&self) -> &Processes {
        self.processes.get_or_init(|| {
            Processes::kill_on_drop(
                &temporary_state_dir().expect("a folder for the test's processes"),
            )
        })
    }

    pub(crate) async fn stop(&self, server: ServerKind) -> Result<()> {
        let container = self.running(server).await?;
        let seconds = i32::try_from(GRACE.as_secs())?;
        let code = on_engine(async move {
            container.stop_with_timeout(Some(seconds)).await?;
            container.exit_code().await
        })
        .await?;
        ensure!(code != Some(KILLED), "it did not stop within {GRACE:?}");
        Ok(())
    }

    pub(crate) async fn kill(&self, server: ServerKind) -> Result<()> {
        let container = self.running(server).await?;
        on_engine(async move {
            let options = KillContainerOptions {
                signal: "SIGKILL".to_owned(),
            };
            let engine = docker_client_instance().await?;
            engine.kill_container(container.id(), Some(options)).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn restart(&self, server: ServerKind) -> Result<()> {
        let container = self.container(server)?;
        on_engine(async move { container.start().await }).await?;
        self.ready(server).await
    }

    pub(crate) fn pause(&self, server: ServerKind) -> Result<()> {
        let container = self.container(server)?;
        Ok(blocking(async move { container.pause().await })?)
    }

    pub(crate) fn resume(&self, server: ServerKind) -> Result<()> {
        let container = self.container(server)?;
        Ok(blocking(async move { container.unpause().await })?)
    }

    pub(crate) fn change_kafka_file(
        &self,
        file: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let container = self.container(ServerKind::Kafka)?;
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let here = folder.path().join("file");
        let outside = here
            .to_str()
            .context("the temporary folder's name is not UTF-8")?;
        let inside = format!("{}:{}/{file}", container.id(), images::KAFKA_DATA);
        docker(&["cp", &inside, outside])?;
        let mut bytes = fs::read(&here)?;
        change(&mut bytes);
        fs::write(&here, bytes)?;
        // `docker cp` makes root the owner, and the broker does not run as root.
        fs::set_permissions(&here, fs::Permissions::from_mode(0o666))?;
        docker(&["cp", outside, &inside])
    }

    fn container(&self, server: ServerKind) -> Result<Container> {
        self.containers
            .get(&server)
            .cloned()
            .context("it has no container")
    }

    async fn running(&self, server: ServerKind) -> Result<Container> {
        let container = self.container(server)?;
        let checked = container.clone();
        let runs = on_engine(async move { checked.is_running().await }).await?;
        ensure!(runs, "it does not run");
        Ok(container)
    }

    /// Waits until a server answers. An error holds the last lines of the container's log.
    async fn ready(&self, server: ServerKind) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !self.answers(server).await {
            if let Err(error) = self.running(server).await {
                bail!(
                    "{server:?} ended while it started: {error}: {}",
                    self.last_log_lines(server).await
                );
            }
            if Instant::now() >= deadline {
                bail!(
                    "{server:?} does not answer after {START_LIMIT:?}: {}",
                    self.last_log_lines(server).await
                );
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    async fn answers(&self, server: ServerKind) -> bool {
        match server {
            ServerKind::Kafka => answers(self.kafka).await,
            ServerKind::Postgres => self.postgres.answers().await,
        }
    }

    /// The last lines of standard output and standard error.
    async fn last_log_lines(&self, server: ServerKind) -> String {
        let Ok(container) = self.container(server) else {
            return String::new();
        };
        let (out, err) =
            on_engine(
                async move { tokio::join!(container.stdout_to_vec(), container.stderr_to_vec()) },
            )
            .await;
        let [out, err] = [out, err].map(Result::unwrap_or_default);
        let last = |log: &[u8]| {
            let log = String::from_utf8_lossy(log);
            let mut lines = log.lines().rev();
            let last = lines.find(|line| !line.trim().is_empty());
            last.unwrap_or_default().to_owned()
        };
        format!("{} {}", last(&out), last(&err))
    }
}

impl Drop for Containers {
    /// Waits until both containers are removed, because the next test needs their memory. A failed
    /// removal is repeated by the cleanup.
    fn drop(&mut self) {
        let containers = std::mem::take(&mut self.containers).into_values();
        let containers: Vec<_> = containers.filter_map(Arc::into_inner).collect();
        blocking(async move {
            let mut removals = tokio::task::JoinSet::new();
            for container in containers {
                removals.spawn(container.rm());
            }
            while removals.join_next().await.is_some() {}
        });
    }
}

/// The runtime of all connections to the engine. Each test has a runtime of its own, and a
/// connection would end with the runtime that created it.
fn engine() -> &'static Runtime {
    static ENGINE: LazyLock<Runtime> = LazyLock::new(|| {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all();
        runtime.build().expect("a runtime for the engine")
    });
    &ENGINE
}

async fn on_engine<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    engine().spawn(work).await.expect("the task does not panic")
}

/// Blocks for work of some milliseconds, in places that are not async.
fn blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = mpsc::sync_channel(1);
    engine().spawn(async move {
        let _receiver_gone = sender.send(work.await);
    });
    receiver.recv().expect("the task does not panic")
}
