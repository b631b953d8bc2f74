//! Broker and database server as containers of the engine on this machine.

use crate::backing::{GRACE, Part};
use crate::images;
use crate::local::fresh_home;
use crate::sweeper::{docker, label};
use anyhow::{Context, Result, bail, ensure};
use local_runtime::backends::START_LIMIT;
use local_runtime::database::Server;
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

/// Between two looks at a server that starts.
const TURN: Duration = Duration::from_millis(50);
/// What a process killed by SIGKILL ends with.
const KILLED: i64 = 128 + 9;

type Container = Arc<ContainerAsync<GenericImage>>;

pub(crate) struct Containers {
    kafka: SocketAddr,
    server: Server,
    parts: BTreeMap<Part, Container>,
    /// Made when somebody asks for it: it leaves a folder behind when this process is killed before it started a program.
    processes: OnceLock<Processes>,
}

impl std::fmt::Debug for Containers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "containers on {} and {}", self.kafka, self.server.0)
    }
}

impl Containers {
    pub(crate) async fn start_both() -> Result<Self> {
        let label = label()?;
        let [kafka, postgres] = local_runtime::ports::free()?
            .map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        let mut both = Self {
            kafka,
            server: Server(postgres),
            parts: BTreeMap::new(),
            processes: OnceLock::new(),
        };
        let (broker, database) = (
            images::kafka(kafka, &label),
            images::postgres(postgres, &label),
        );
        let (broker, database) =
            on_engine(async { tokio::join!(broker.start(), database.start()) }).await;
        for (part, started) in [(Part::Kafka, broker), (Part::Postgres, database)] {
            let started = started.with_context(|| format!("the container of {part:?}"))?;
            both.parts.insert(part, Arc::new(started));
        }
        tokio::try_join!(both.ready(Part::Kafka), both.ready(Part::Postgres))?;
        Ok(both)
    }

    pub(crate) fn kafka(&self) -> SocketAddr {
        self.kafka
    }

    pub(crate) fn server(&self) -> Server {
        self.server
    }

    pub(crate) fn processes(&self) -> &Processes {
        self.processes.get_or_init(|| {
            Processes::guarded(&fresh_home().expect("a folder for the test's processes"))
        })
    }

    pub(crate) async fn stop(&self, part: Part) -> Result<()> {
        let container = self.running(part).await?;
        let seconds = i32::try_from(GRACE.as_secs())?;
        let code = on_engine(async move {
            container.stop_with_timeout(Some(seconds)).await?;
            container.exit_code().await
        })
        .await?;
        ensure!(code != Some(KILLED), "not within {GRACE:?}");
        Ok(())
    }

    pub(crate) async fn kill(&self, part: Part) -> Result<()> {
        let container = self.running(part).await?;
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

    pub(crate) async fn start_again(&self, part: Part) -> Result<()> {
        let container = self.of(part)?;
        on_engine(async move { container.start().await }).await?;
        self.ready(part).await
    }

    pub(crate) fn pause(&self, part: Part) -> Result<()> {
        let container = self.of(part)?;
        Ok(blocking(async move { container.pause().await })?)
    }

    pub(crate) fn resume(&self, part: Part) -> Result<()> {
        let container = self.of(part)?;
        Ok(blocking(async move { container.unpause().await })?)
    }

    pub(crate) fn change_kafka_file(
        &self,
        file: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let container = self.of(Part::Kafka)?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let here = folder.path().join("file");
        let outside = here.to_str().context("an odd name of a folder")?;
        let inside = format!("{}:{}/{file}", container.id(), images::KAFKA_DATA);
        docker(&["cp", &inside, outside])?;
        let mut bytes = fs::read(&here)?;
        change(&mut bytes);
        fs::write(&here, bytes)?;
        // It becomes root's, and the broker is not root.
        fs::set_permissions(&here, fs::Permissions::from_mode(0o666))?;
        docker(&["cp", outside, &inside])
    }

    fn of(&self, part: Part) -> Result<Container> {
        self.parts
            .get(&part)
            .cloned()
            .context("it has no container")
    }

    async fn running(&self, part: Part) -> Result<Container> {
        let container = self.of(part)?;
        let look = container.clone();
        let runs = on_engine(async move { look.is_running().await }).await?;
        ensure!(runs, "it does not run");
        Ok(container)
    }

    /// Waits until a server answers.
    async fn ready(&self, part: Part) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !self.answers(part).await {
            if let Err(error) = self.running(part).await {
                bail!(
                    "{part:?} ended while it started: {error}: {}",
                    self.last_words(part).await
                );
            }
            if Instant::now() >= deadline {
                bail!(
                    "{part:?} does not answer after {START_LIMIT:?}: {}",
                    self.last_words(part).await
                );
            }
            sleep(TURN).await;
        }
        Ok(())
    }

    async fn answers(&self, part: Part) -> bool {
        match part {
            Part::Kafka => answers(self.kafka).await,
            Part::Postgres => self.server.answers().await,
        }
    }

    /// The last lines of a container's log.
    async fn last_words(&self, part: Part) -> String {
        let Ok(container) = self.of(part) else {
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
    /// Waits until both are gone: the next test wants their memory. What fails here is left to the sweeper.
    fn drop(&mut self) {
        let parts = std::mem::take(&mut self.parts).into_values();
        let parts: Vec<_> = parts.filter_map(Arc::into_inner).collect();
        blocking(async move {
            let mut removals = tokio::task::JoinSet::new();
            for container in parts {
                removals.spawn(container.rm());
            }
            while removals.join_next().await.is_some() {}
        });
    }
}

/// Where the engine is spoken to: each test has a runtime of its own, and a connection dies with the runtime it was made in.
fn engine() -> &'static Runtime {
    static ENGINE: LazyLock<Runtime> = LazyLock::new(|| {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all();
        runtime.build().expect("a runtime for the engine")
    });
    &ENGINE
}

async fn on_engine<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    engine().spawn(work).await.expect("no panic in there")
}

/// For what takes milliseconds, and where nothing can be awaited.
fn blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (tell, told) = mpsc::sync_channel(1);
    engine().spawn(async move {
        let _nobody_waits = tell.send(work.await);
    });
    told.recv().expect("no panic in there")
}
