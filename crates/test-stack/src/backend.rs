//! The two backends of a stack: local processes and containers.

use crate::containers::Containers;
use crate::local::Local;
use anyhow::{Result, bail};
use local_runtime::database::DatabaseServer;
use local_runtime::process::Processes;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

/// How often a start is tried, each time on other ports: another test may take a port between the
/// moment it is found free and the moment the server listens on it.
const TRIES: usize = 3;

/// The variable that chooses the backend.
const MODE_VARIABLE: &str = "SANDBOX_TEST_STACK";

/// How long a server may take to stop. Much longer than usual, because other tests run at the same
/// time.
pub(crate) const GRACE: Duration = Duration::from_secs(90);

/// One of the two servers of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerKind {
    Kafka,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackMode {
    Local,
    Docker,
}

impl StackMode {
    /// The mode that the environment chooses.
    ///
    /// # Panics
    /// When the variable has another value than `local` or `docker`.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one setting of all tests"
    )]
    pub(crate) fn from_environment() -> Self {
        let value =
            std::env::var_os(MODE_VARIABLE).map(|value| value.to_string_lossy().into_owned());
        match Self::parse(value.as_deref()) {
            Ok(mode) => mode,
            Err(error) => panic!("{error}"),
        }
    }

    fn parse(value: Option<&str>) -> Result<Self> {
        match value {
            None | Some("local") => Ok(Self::Local),
            Some("docker") => Ok(Self::Docker),
            Some(other) => bail!("{MODE_VARIABLE} must be \"local\" or \"docker\", not {other:?}"),
        }
    }
}

/// A future that is compiled in this crate. The code of an `async fn` is compiled in each crate that
/// awaits it: every test program would compile all of testcontainers (measured: 30 s a program).
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

#[derive(Debug)]
pub(crate) enum Backend {
    Local(Local),
    Docker(Containers),
}

impl Backend {
    /// Starts a broker and a database server and waits until both answer.
    pub(crate) fn start() -> Boxed<'static, Result<Self>> {
        Box::pin(Self::start_on_free_ports())
    }

    async fn start_on_free_ports() -> Result<Self> {
        let mode = StackMode::from_environment();
        let mut tries = 1;
        loop {
            let started = match mode {
                StackMode::Local => Local::start_both().await.map(Self::Local),
                StackMode::Docker => Containers::start_both().await.map(Self::Docker),
            };
            if started.is_ok() || tries == TRIES {
                return started;
            }
            tries += 1;
        }
    }

    pub(crate) fn kafka(&self) -> SocketAddr {
        match self {
            Self::Local(local) => local.kafka(),
            Self::Docker(containers) => containers.kafka(),
        }
    }

    pub(crate) fn postgres(&self) -> DatabaseServer {
        match self {
            Self::Local(local) => local.postgres(),
            Self::Docker(containers) => containers.postgres(),
        }
    }

    pub(crate) fn processes(&self) -> &Processes {
        match self {
            Self::Local(local) => local.processes(),
            Self::Docker(containers) => containers.processes(),
        }
    }

    /// Shuts down a running server.
    pub(crate) fn stop(&self, server: ServerKind) -> Boxed<'_, Result<()>> {
        match self {
            Self::Local(local) => Box::pin(local.stop(server)),
            Self::Docker(containers) => Box::pin(containers.stop(server)),
        }
    }

    pub(crate) fn kill(&self, server: ServerKind) -> Boxed<'_, Result<()>> {
        match self {
            Self::Local(local) => Box::pin(local.kill(server)),
            Self::Docker(containers) => Box::pin(containers.kill(server)),
        }
    }

    /// Starts a stopped or killed server and waits until it answers.
    pub(crate) fn restart(&self, server: ServerKind) -> Boxed<'_, Result<()>> {
        match self {
            Self::Local(local) => Box::pin(local.restart(server)),
            Self::Docker(containers) => Box::pin(containers.restart(server)),
        }
    }

    pub(crate) fn pause(&self, server: ServerKind) -> Result<()> {
        match self {
            Self::Local(local) => local.pause(server),
            Self::Docker(containers) => containers.pause(server),
        }
    }

    pub(crate) fn resume(&self, server: ServerKind) -> Result<()> {
        match self {
            Self::Local(local) => local.resume(server),
            Self::Docker(containers) => containers.resume(server),
        }
    }

    /// Changes a file of the stopped broker. `file` is a path below the data folder.
    pub(crate) fn change_kafka_file(
        &self,
        file: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        match self {
            Self::Local(local) => local.change_kafka_file(file, change),
            Self::Docker(containers) => containers.change_kafka_file(file, change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_local_unless_the_variable_is_docker() {
        assert_eq!(StackMode::parse(None).unwrap(), StackMode::Local);
        assert_eq!(StackMode::parse(Some("local")).unwrap(), StackMode::Local);
        assert_eq!(StackMode::parse(Some("docker")).unwrap(), StackMode::Docker);
        for other in ["", "Docker", "podman"] {
            assert_eq!(
                StackMode::parse(Some(other)).unwrap_err().to_string(),
                format!("SANDBOX_TEST_STACK must be \"local\" or \"docker\", not {other:?}")
            );
        }
    }
}
