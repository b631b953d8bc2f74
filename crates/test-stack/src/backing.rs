//! What a stack is made of: local processes or containers.

use crate::containers::Containers;
use crate::local::Local;
use anyhow::{Result, bail};
use local_runtime::database::Server;
use local_runtime::process::Processes;
use std::net::SocketAddr;
use std::time::Duration;

/// How often a start is tried on other ports: between finding a port free and using it, another test may take it.
const TRIES: usize = 3;

/// Says which of the two it is.
const CHOICE: &str = "SANDBOX_TEST_STACK";

/// How long a server may take to stop when a test asks for that: longer than a person would wait, since tests run beside each other.
pub(crate) const GRACE: Duration = Duration::from_secs(90);

/// One of the two servers of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Kafka,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Local,
    Docker,
}

impl Choice {
    /// What the environment says.
    ///
    /// # Panics
    /// When it says something else than the two.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one setting of all tests"
    )]
    pub(crate) fn made() -> Self {
        let value = std::env::var_os(CHOICE).map(|value| value.to_string_lossy().into_owned());
        match Self::of(value.as_deref()) {
            Ok(choice) => choice,
            Err(error) => panic!("{error}"),
        }
    }

    fn of(value: Option<&str>) -> Result<Self> {
        match value {
            None | Some("local") => Ok(Self::Local),
            Some("docker") => Ok(Self::Docker),
            Some(other) => bail!("{CHOICE} must be \"local\" or \"docker\", not {other:?}"),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Backing {
    Local(Local),
    Docker(Containers),
}

impl Backing {
    /// A broker and a database server that run and answer.
    pub(crate) async fn start() -> Result<Self> {
        let choice = Choice::made();
        let mut tries = 1;
        loop {
            let started = match choice {
                Choice::Local => Local::start_both().await.map(Self::Local),
                Choice::Docker => Containers::start_both().await.map(Self::Docker),
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

    pub(crate) fn server(&self) -> Server {
        match self {
            Self::Local(local) => local.server(),
            Self::Docker(containers) => containers.server(),
        }
    }

    pub(crate) fn processes(&self) -> &Processes {
        match self {
            Self::Local(local) => local.processes(),
            Self::Docker(containers) => containers.processes(),
        }
    }

    /// Ends in good order what runs.
    pub(crate) async fn stop(&self, part: Part) -> Result<()> {
        match self {
            Self::Local(local) => local.stop(part).await,
            Self::Docker(containers) => containers.stop(part).await,
        }
    }

    pub(crate) async fn kill(&self, part: Part) -> Result<()> {
        match self {
            Self::Local(local) => local.kill(part).await,
            Self::Docker(containers) => containers.kill(part).await,
        }
    }

    /// Starts what was stopped or killed, and waits until it answers.
    pub(crate) async fn start_again(&self, part: Part) -> Result<()> {
        match self {
            Self::Local(local) => local.start_again(part).await,
            Self::Docker(containers) => containers.start_again(part).await,
        }
    }

    pub(crate) fn pause(&self, part: Part) -> Result<()> {
        match self {
            Self::Local(local) => local.pause(part),
            Self::Docker(containers) => containers.pause(part),
        }
    }

    pub(crate) fn resume(&self, part: Part) -> Result<()> {
        match self {
            Self::Local(local) => local.resume(part),
            Self::Docker(containers) => containers.resume(part),
        }
    }

    /// Changes a file of the stopped broker, named by its path below the data folder.
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
    fn a_stack_is_local_unless_the_setting_says_docker_and_nothing_else_is_taken() {
        assert_eq!(Choice::of(None).unwrap(), Choice::Local);
        assert_eq!(Choice::of(Some("local")).unwrap(), Choice::Local);
        assert_eq!(Choice::of(Some("docker")).unwrap(), Choice::Docker);
        for other in ["", "Docker", "podman"] {
            assert_eq!(
                Choice::of(Some(other)).unwrap_err().to_string(),
                format!("SANDBOX_TEST_STACK must be \"local\" or \"docker\", not {other:?}")
            );
        }
    }
}
