//! Kafka and PostgreSQL together, as the sandbox and the tests start them.

use crate::dist::Installation;
use crate::home::Home;
use crate::kafka::{KAFKA, KAFKA_GRACE, Kafka};
use crate::ports;
use crate::postgres::{POSTGRES, POSTGRES_GRACE, Postgres};
use crate::process::Processes;
use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What both get to answer after their start. An idle machine with two cores needs about three seconds, a busy one many more.
pub const START_LIMIT: Duration = Duration::from_secs(120);

/// A broker and a database of one home.
#[derive(Clone, Debug)]
pub struct Backends {
    /// The broker.
    pub kafka: Kafka,
    /// The database server.
    pub postgres: Postgres,
}

impl Backends {
    /// Both, on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// When no ports are free.
    pub fn on_free_ports(home: &Home, installation: &Installation) -> Result<Self> {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let [kafka, postgres] = ports::free()?;
        Ok(Self {
            kafka: Kafka::new(home, installation, local, kafka),
            postgres: Postgres::new(home, installation, local, postgres),
        })
    }

    /// Starts both at the same time and waits until both answer.
    ///
    /// # Errors
    /// When a port is taken (then nothing is started), when one of them cannot be started, ends, or does not answer within [`START_LIMIT`]. The other may then run: stop it.
    pub async fn start(&self, processes: &Processes) -> Result<()> {
        // Else the one who holds the port could answer in our stead.
        ports::require_free("Kafka", self.kafka.address, self.kafka.port, "KAFKA_PORT")?;
        ports::require_free(
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

    /// Stops both at the same time, in good order. What does not run is stopped already.
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
