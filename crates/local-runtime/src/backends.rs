//! Kafka and PostgreSQL together, as the sandbox and the tests start them.

use crate::download::Installation;
use crate::free_ports;
use crate::kafka::{KAFKA, KAFKA_GRACE, Kafka};
use crate::postgres::{POSTGRES, POSTGRES_GRACE, Postgres};
use crate::process::Processes;
use crate::state_dir::StateDir;
use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long both may take to answer after their start. An idle machine with two cores needs about
/// three seconds, a busy one much longer.
pub const START_LIMIT: Duration = Duration::from_secs(120);

/// One broker and one database server with a common state directory.
#[derive(Clone, Debug)]
pub struct Backends {
    /// Listens on [`Kafka::address`] and [`Kafka::port`].
    pub kafka: Kafka,
    /// Listens on [`Postgres::address`] and [`Postgres::port`].
    pub postgres: Postgres,
}

impl Backends {
    /// Both servers on free ports of 127.0.0.1. Nothing is started.
    ///
    /// # Errors
    /// When no ports are free.
    pub fn on_free_ports(state_dir: &StateDir, installation: &Installation) -> Result<Self> {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let [kafka, postgres] = free_ports::free()?;
        Ok(Self {
            kafka: Kafka::new(state_dir, installation, local, kafka),
            postgres: Postgres::new(state_dir, installation, local, postgres),
        })
    }

    /// Starts both at the same time and waits until both answer.
    ///
    /// # Errors
    /// When a port is taken (then nothing is started), or when one server cannot be started, ends,
    /// or does not answer within [`START_LIMIT`]. The other server may then run: call
    /// [`Backends::stop`].
    pub async fn start(&self, processes: &Processes) -> Result<()> {
        // Otherwise the process that holds the port could answer in place of the new server.
        free_ports::require_free("Kafka", self.kafka.address, self.kafka.port, "KAFKA_PORT")?;
        free_ports::require_free(
            "PostgreSQL",
            self.postgres.address,
            self.postgres.port,
            "POSTGRES_PORT",
        )?;
        let kafka = async {
            self.kafka.start(processes).await?;
            self.kafka.ready(processes, START_LIMIT).await
        };
        let postgres = async {
            self.postgres.start(processes).await?;
            self.postgres.ready(processes, START_LIMIT).await
        };
        tokio::try_join!(kafka, postgres).map(drop)
    }

    /// Shuts both down at the same time. A server that does not run is no error.
    ///
    /// # Errors
    /// As [`Processes::stop`].
    pub async fn stop(&self, processes: &Processes) -> Result<()> {
        tokio::try_join!(
            processes.stop(KAFKA, KAFKA_GRACE),
            processes.stop(POSTGRES, POSTGRES_GRACE)
        )
        .map(drop)
    }
}
