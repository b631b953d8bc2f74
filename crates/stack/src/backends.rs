//! The broker and the database of the stack, with what the services expect in them.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use local_runtime::backends::{Backends, START_LIMIT};
use local_runtime::kafka::{KAFKA, Kafka};
use local_runtime::postgres::{POSTGRES, Postgres};
use local_runtime::process::ProcessState;
use kafka_admin::Cluster;
use kafka_admin::topics::Created;
use kafka_admin::replay;
use shared_events::{Service, Topic};

use crate::Stack;
use crate::interrupt::Hold;
use crate::database::Database;
use crate::terminal::note;

/// How long the coordinator may take to let go of a group. A member that was killed counts as one until its session (6 s) ends.
const GROUP_LIMIT: Duration = Duration::from_secs(15);

impl Stack<'_> {
    /// Broker and database of this stack, running or not; an error if they are not on this machine.
    pub fn backends(&self) -> Result<Backends> {
        let installation = self.sandbox.sources().installed()?;
        let settings = self.sandbox.settings();
        Ok(Backends {
            kafka: Kafka::new(
                self.home(),
                &installation,
                settings.bind_addr,
                settings.kafka_port,
            ),
            postgres: Postgres::new(
                self.home(),
                &installation,
                settings.bind_addr,
                settings.postgres_port,
            ),
        })
    }

    /// The cluster of this stack, as a tool sees it.
    pub fn cluster(&self) -> Result<Cluster> {
        Ok(Cluster::new(&self.sandbox.kafka())?)
    }

    /// Starts the broker, or lets a paused one go on, and makes the topics that are missing.
    pub async fn bring_kafka(&self, hold: &Hold) -> Result<()> {
        let kafka = self.backends()?.kafka;
        if self.must_start(KAFKA)? {
            hold.or(kafka.prepare()).await?;
            self.processes.start(&kafka.program()).await?;
        }
        hold.or(kafka.ready(&self.processes, START_LIMIT)).await?;
        hold.or(async { make_topics(&self.cluster()?).await }).await
    }

    /// Starts the database server, or lets a paused one go on, and makes the databases that are missing.
    pub async fn bring_postgres(&self, hold: &Hold) -> Result<()> {
        let postgres = self.backends()?.postgres;
        if self.must_start(POSTGRES)? {
            hold.or(postgres.prepare()).await?;
            self.processes.start(&postgres.program()?).await?;
        }
        hold.or(postgres.ready(&self.processes, START_LIMIT))
            .await?;
        hold.or(self.make_databases()).await
    }

    /// Continues it if it is paused.
    pub(super) fn must_start(&self, name: &str) -> Result<bool> {
        match self.state(name)? {
            Some(ProcessState::Running) => Ok(false),
            Some(ProcessState::Paused) => self.processes.resume(name).map(|_| false),
            Some(ProcessState::Ended(_)) | None => Ok(true),
        }
    }

    /// Drops all databases of the shop, and makes them again, empty: the services' migrations fill them.
    pub async fn empty_postgres(&self) -> Result<()> {
        let server = self.sandbox.server();
        let drops = Database::ALL.map(|database| server.drop_database(database.name));
        try_join_all(drops)
            .await
            .context("cannot drop the databases")?;
        self.make_databases().await
    }

    /// Makes the databases that are missing, one after the other: PostgreSQL copies its template for each, and lets only one do
    /// so at a time.
    async fn make_databases(&self) -> Result<()> {
        for Database { name, role } in Database::ALL {
            let made = self.sandbox.server().create_database(role, name).await;
            made.context("cannot make the databases")?;
        }
        Ok(())
    }
}

/// Makes the topics that are missing. One that is there with other settings is left alone, and said.
pub async fn make_topics(cluster: &Cluster) -> Result<()> {
    for (topic, outcome) in cluster.create_topics(&Topic::ALL, None).await? {
        if let Created::Differs(differences) = outcome {
            let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
            note(format_args!(
                "topic {topic} is not as the shop makes it: {}",
                differences.join(", ")
            ));
        }
    }
    Ok(())
}

/// Deletes all topics and groups of the shop, and makes the topics again. No service may run.
pub async fn empty_kafka(cluster: &Cluster) -> Result<()> {
    let services = Service::ALL.map(|service| cluster.prefix().group(service));
    let replays = Topic::ALL.map(|topic| replay::group_of(cluster, topic));
    let groups: Vec<String> = services.into_iter().chain(replays).collect();
    // Groups first: a group that still exists would keep offsets of topics that are gone.
    cluster.delete_groups(&groups, GROUP_LIMIT).await?;
    cluster.delete_topics(&Topic::ALL).await?;
    make_topics(cluster).await
}
