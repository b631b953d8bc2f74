//! The broker and the database of a stack, with the topics and databases that the services expect.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use kafka_admin::Cluster;
use kafka_admin::topics::CreateOutcome;
use local_runtime::backends::START_LIMIT;
use local_runtime::free_ports;
use local_runtime::kafka::{CONTROLLERS_LABEL, Kafka, Node};
use local_runtime::postgres::{POSTGRES, Postgres};
use local_runtime::process::ProcessState;
use shared_events::{Service, Topic};

use crate::Stack;
use crate::interrupt::InterruptGuard;
use crate::layout::Database;
use crate::terminal::note;

/// How long the deletion of a group may take. A killed member belongs to its group until its session (6 s) ends.
const GROUP_LIMIT: Duration = Duration::from_secs(15);

impl Stack<'_> {
    /// A broker of this stack, running or not; an error if Kafka is not installed.
    fn broker(&self, node: Node, controllers: &[u16]) -> Result<Kafka> {
        let installation = self.layout.sources().installed()?;
        let settings = self.layout.settings();
        let port = settings.ports.of_kafka(node).port;
        let kafka = Kafka::new(self.state_dir(), &installation, settings.bind_addr, port);
        Ok(match node {
            Node::ONLY => kafka,
            node => kafka.in_cluster(node, controllers.to_owned()),
        })
    }

    /// The ports of the three controllers of a cluster: those with which a broker was started that is alive, else free ones.
    fn controllers(&self) -> Result<Vec<u16>> {
        for record in self.processes.records()? {
            let label = record.labels.get(CONTROLLERS_LABEL);
            if let Some(ports) = label.filter(|_| record.process.is_alive()) {
                let ports: Result<Vec<u16>, _> = ports.split(',').map(str::parse).collect();
                return ports.with_context(|| format!("{} has no valid ports", record.name));
            }
        }
        Ok(free_ports::free::<3>()?.to_vec())
    }

    /// The database server of this stack, running or not; an error if PostgreSQL is not installed.
    fn postgres(&self) -> Result<Postgres> {
        let installation = self.layout.sources().installed()?;
        let settings = self.layout.settings();
        Ok(Postgres::new(
            self.state_dir(),
            &installation,
            settings.bind_addr,
            settings.ports.postgres_port,
        ))
    }

    /// An admin client of this stack's cluster.
    pub fn cluster(&self) -> Result<Cluster> {
        Ok(Cluster::new(&self.layout.kafka())?)
    }

    /// Starts brokers, or continues paused ones, and creates the missing topics. One of three brokers alone cannot do that, and
    /// only runs.
    pub async fn start_kafka(&self, nodes: &[Node], guard: &InterruptGuard) -> Result<()> {
        self.start_brokers(nodes, guard).await?;
        if !self.kafka_runs()? {
            return Ok(());
        }
        guard
            .unless_interrupted(async { create_topics(&self.cluster()?).await })
            .await
    }

    /// Starts brokers, or continues paused ones, and waits until they answer. Their topics stay as they are.
    pub(crate) async fn start_brokers(&self, nodes: &[Node], guard: &InterruptGuard) -> Result<()> {
        let controllers = self.controllers()?;
        let brokers = nodes.iter().map(|node| self.broker(*node, &controllers));
        let brokers: Vec<Kafka> = brokers.collect::<Result<_>>()?;
        let started = brokers.iter().map(async |kafka| {
            if self.must_start_or_continue(&kafka.name())? {
                guard.unless_interrupted(kafka.prepare()).await?;
                self.processes.start(&kafka.program()).await?;
            }
            Ok(())
        });
        // Each of them runs to its end, also when one fails: a process that is being started must get its record.
        join_all(started)
            .await
            .into_iter()
            .collect::<Result<()>>()?;
        if !self.kafka_runs()? {
            note(
                "fewer than two of three brokers run, so they answer no client: ./sandbox up kafka",
            );
            return Ok(());
        }
        let ready = brokers
            .iter()
            .map(|kafka| kafka.ready(&self.processes, START_LIMIT));
        guard
            .unless_interrupted(async { try_join_all(ready).await.map(drop) })
            .await
    }

    /// Starts the database server, or continues a paused one, and creates the missing databases.
    pub async fn start_postgres(&self, guard: &InterruptGuard) -> Result<()> {
        let postgres = self.postgres()?;
        if self.must_start_or_continue(POSTGRES)? {
            guard.unless_interrupted(postgres.prepare()).await?;
            self.processes.start(&postgres.program()?).await?;
        }
        guard
            .unless_interrupted(postgres.ready(&self.processes, START_LIMIT))
            .await?;
        guard.unless_interrupted(self.create_databases()).await
    }

    /// Whether this process has to be started. Continues a paused process.
    pub(crate) fn must_start_or_continue(&self, name: &str) -> Result<bool> {
        match self.state(name)? {
            Some(ProcessState::Running) => Ok(false),
            Some(ProcessState::Paused) => self.processes.resume(name).map(|_| false),
            Some(ProcessState::Ended(_)) | None => Ok(true),
        }
    }

    /// Drops and recreates all databases of the shop. The services' migrations create their tables.
    pub async fn clear_postgres(&self) -> Result<()> {
        let server = self.layout.postgres_server();
        let drops = Database::ALL.map(|database| server.drop_database(database.name));
        try_join_all(drops)
            .await
            .context("cannot drop the databases")?;
        self.create_databases().await
    }

    /// Creates the missing databases one after the other: PostgreSQL copies its template for each, and allows only one copy
    /// at a time.
    async fn create_databases(&self) -> Result<()> {
        for Database { name, role } in Database::ALL {
            let created = self
                .layout
                .postgres_server()
                .create_database(role, name)
                .await;
            created.context("cannot create the databases")?;
        }
        Ok(())
    }
}

/// Creates the missing topics. A topic that exists with other settings is left unchanged, with a note.
pub async fn create_topics(cluster: &Cluster) -> Result<()> {
    for (topic, outcome) in cluster.create_topics(&Topic::ALL, None).await? {
        if let CreateOutcome::Differs(differences) = outcome {
            let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
            note(format_args!(
                "topic {topic} differs from the shop's definition: {}",
                differences.join(", ")
            ));
        }
    }
    Ok(())
}

/// Deletes all groups and topics of the shop, and recreates the topics. No service may run.
pub async fn clear_kafka(cluster: &Cluster) -> Result<()> {
    let services = Service::ALL.map(|service| cluster.prefix().group(service));
    let replays = Topic::ALL.map(|topic| cluster.prefix().replay_group(topic));
    let groups: Vec<String> = services.into_iter().chain(replays).collect();
    // Groups first: a group that outlives its topics would keep offsets that fit no record of the new ones.
    cluster.delete_groups(&groups, GROUP_LIMIT).await?;
    cluster.delete_topics(&Topic::ALL).await?;
    create_topics(cluster).await
}
