//! A broker and a database server for one test.

use crate::backend::{Backend, ServerKind};
use local_runtime::database::DatabaseServer;
use local_runtime::process::Processes;

/// A broker and a database server that no other test uses. They can be stopped, killed, paused and
/// started again; topics and databases are kept. Dropping the value kills both and removes their
/// data.
#[derive(Debug)]
pub struct DedicatedStack {
    backend: Backend,
}

/// Starts a broker and a database server for one test, on free ports. Takes about three seconds, in
/// containers about eight.
///
/// # Panics
/// When they do not start.
pub async fn dedicated() -> DedicatedStack {
    match Backend::start().await {
        Ok(backend) => DedicatedStack { backend },
        Err(error) => panic!("the test's broker and database do not start: {error:#}"),
    }
}

impl DedicatedStack {
    /// `host:port` of the broker. Stays the same when it is stopped and started.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.backend.kafka().to_string()
    }

    /// Changes a file of the broker's data, which has one folder a partition. `file` is a path
    /// below the data folder. Call it only while the broker is stopped.
    ///
    /// # Panics
    /// When the file cannot be read or written.
    pub fn change_kafka_file(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.backend
            .change_kafka_file(file, change)
            .expect("a file of Kafka is changed");
    }

    /// The database server. Its port stays the same when it is stopped and started.
    #[must_use]
    pub fn server(&self) -> DatabaseServer {
        self.backend.postgres()
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn database(&self, name: &str) -> String {
        crate::shared::new_database(self.server(), name).await
    }

    /// Shuts the broker down.
    ///
    /// # Panics
    /// When the broker does not run, or does not end in time.
    pub async fn stop_kafka(&self) {
        self.backend
            .stop(ServerKind::Kafka)
            .await
            .expect("Kafka stops");
    }

    /// Shuts the database server down and ends its clients' connections.
    ///
    /// # Panics
    /// When the server does not run, or does not end in time.
    pub async fn stop_postgres(&self) {
        self.backend
            .stop(ServerKind::Postgres)
            .await
            .expect("PostgreSQL stops");
    }

    /// `kill -9` for the broker.
    ///
    /// # Panics
    /// When the broker does not run.
    pub async fn kill_kafka(&self) {
        self.backend
            .kill(ServerKind::Kafka)
            .await
            .expect("Kafka is killed");
    }

    /// `kill -9` for the database server and all its backends.
    ///
    /// # Panics
    /// When the server does not run.
    pub async fn kill_postgres(&self) {
        self.backend
            .kill(ServerKind::Postgres)
            .await
            .expect("PostgreSQL is killed");
    }

    /// Starts the broker after a stop or a kill and waits until it answers.
    ///
    /// # Panics
    /// When the broker does not start or does not answer.
    pub async fn start_kafka(&self) {
        self.backend
            .restart(ServerKind::Kafka)
            .await
            .expect("Kafka starts and answers");
    }

    /// Starts the database server after a stop or a kill and waits until it accepts connections.
    ///
    /// # Panics
    /// When the server does not start or does not answer.
    pub async fn start_postgres(&self) {
        self.backend
            .restart(ServerKind::Postgres)
            .await
            .expect("PostgreSQL starts and answers");
    }

    /// Pauses the broker: connections stay open, and requests get no answer.
    ///
    /// # Panics
    /// When the broker does not run.
    pub fn pause_kafka(&self) {
        self.backend
            .pause(ServerKind::Kafka)
            .expect("Kafka is paused");
    }

    /// Pauses the database server with all its backends.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn pause_postgres(&self) {
        self.backend
            .pause(ServerKind::Postgres)
            .expect("PostgreSQL is paused");
    }

    /// Resumes a paused broker.
    ///
    /// # Panics
    /// When the broker does not run.
    pub fn resume_kafka(&self) {
        self.backend
            .resume(ServerKind::Kafka)
            .expect("Kafka is resumed");
    }

    /// Resumes a paused database server.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn resume_postgres(&self) {
        self.backend
            .resume(ServerKind::Postgres)
            .expect("PostgreSQL is resumed");
    }

    /// Local processes for other programs of the test. The programs end with the test.
    #[must_use]
    pub fn processes(&self) -> &Processes {
        self.backend.processes()
    }
}
