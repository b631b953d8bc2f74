//! A broker and a database server for one test.

use local_runtime::backends::{Backends, START_LIMIT};
use local_runtime::database::Server;
use local_runtime::dist::Sources;
use local_runtime::home::Home;
use local_runtime::kafka::{KAFKA, KAFKA_GRACE};
use local_runtime::postgres::{POSTGRES, POSTGRES_GRACE};
use local_runtime::process::Processes;
use std::path::{Path, PathBuf};

/// How often a start is tried on other ports: between finding a port free and using it, another test may take it.
const TRIES: usize = 3;

/// A broker and a database server that nobody else uses. They can be stopped, killed, paused and started again; topics and
/// databases survive all of it. Dropped, both are killed and their data is removed.
#[derive(Debug)]
pub struct OwnStack {
    backends: Backends,
    processes: Processes,
}

/// Starts a broker and a database server for one test, on free ports. Takes about three seconds.
///
/// # Panics
/// When they do not start.
pub async fn exclusive() -> OwnStack {
    let installation = sources()
        .fetch(false, |_| {})
        .await
        .expect("Kafka and PostgreSQL are on this machine");
    let mut failure = None;
    for _ in 0..TRIES {
        let home = Home::at(&fresh_folder()).expect("a folder for the test's broker and database");
        let backends = Backends::on_free_ports(&home, &installation).expect("free ports");
        let own = OwnStack {
            backends,
            processes: Processes::guarded(&home),
        };
        match own.backends.start(&own.processes).await {
            Ok(()) => return own,
            Err(error) => failure = Some(error),
        }
    }
    panic!("the test's broker and database do not start: {failure:#?}");
}

impl OwnStack {
    /// `host:port` of the broker. Stays the same when it is stopped and started.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.backends.kafka.bootstrap()
    }

    /// The broker's data: a folder for each partition. To be changed only while the broker is stopped.
    #[must_use]
    pub fn kafka_data(&self) -> PathBuf {
        self.backends.kafka.data()
    }

    /// The database server.
    #[must_use]
    pub fn server(&self) -> Server {
        self.backends.postgres.server()
    }

    /// A new, empty database; its URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn database(&self, name: &str) -> String {
        crate::shared::new_database(self.server(), name).await
    }

    /// Stops the broker in good order.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop_kafka(&self) {
        self.processes
            .stop(KAFKA, KAFKA_GRACE)
            .await
            .expect("Kafka stops");
    }

    /// Stops the database server in good order: its clients are thrown out.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop_postgres(&self) {
        self.processes
            .stop(POSTGRES, POSTGRES_GRACE)
            .await
            .expect("PostgreSQL stops");
    }

    /// `kill -9` for the broker.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill_kafka(&self) {
        assert!(
            self.processes.kill(KAFKA).await.expect("Kafka is killed"),
            "Kafka runs"
        );
    }

    /// `kill -9` for the database server and all its backends.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill_postgres(&self) {
        assert!(
            self.processes
                .kill(POSTGRES)
                .await
                .expect("PostgreSQL is killed"),
            "PostgreSQL runs"
        );
    }

    /// Starts the broker again after a stop or a kill and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_kafka(&self) {
        self.backends
            .kafka
            .start(&self.processes)
            .await
            .expect("Kafka starts");
        self.backends
            .kafka
            .ready(&self.processes, START_LIMIT)
            .await
            .expect("Kafka answers");
    }

    /// Starts the database server again after a stop or a kill and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_postgres(&self) {
        self.backends
            .postgres
            .start(&self.processes)
            .await
            .expect("PostgreSQL starts");
        self.backends
            .postgres
            .ready(&self.processes, START_LIMIT)
            .await
            .expect("PostgreSQL answers");
    }

    /// Freezes the broker: connections stay open, nobody answers.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause_kafka(&self) {
        assert!(
            self.processes.pause(KAFKA).expect("Kafka is paused"),
            "Kafka runs"
        );
    }

    /// Freezes the database server with all its backends.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause_postgres(&self) {
        assert!(
            self.processes
                .pause(POSTGRES)
                .expect("PostgreSQL is paused"),
            "PostgreSQL runs"
        );
    }

    /// Lets a frozen broker go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn continue_kafka(&self) {
        assert!(
            self.processes.resume(KAFKA).expect("Kafka goes on"),
            "Kafka runs"
        );
    }

    /// Lets a frozen database server go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn continue_postgres(&self) {
        assert!(
            self.processes.resume(POSTGRES).expect("PostgreSQL goes on"),
            "PostgreSQL runs"
        );
    }

    /// The processes, for anything else: further programs started through them end with the test, too.
    #[must_use]
    pub fn processes(&self) -> &Processes {
        &self.processes
    }
}

/// Where the tests of this checkout find Kafka and PostgreSQL.
fn sources() -> Sources {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    Sources {
        dist: checkout.join(".sandbox/dist"),
        kafka_home: std::env::var_os("KAFKA_HOME").map(PathBuf::from),
        pg_bin: std::env::var_os("PG_BIN").map(PathBuf::from),
    }
}

/// A folder of its own for each stack, where also another user can go: PostgreSQL does not run as root.
fn fresh_folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("saga-sandbox-test-")
        .tempdir()
        .expect("a temporary folder");
    // From here on the keepers remove it: they outlive a process that is killed.
    folder.keep()
}
