//! A broker and a database server for one test.

use crate::backing::{Backing, Part};
use local_runtime::database::Server;
use local_runtime::process::Processes;

/// A broker and a database server that nobody else uses. They can be stopped, killed, paused and started again; topics and
/// databases survive all of it. Dropped, both are killed and their data is removed.
#[derive(Debug)]
pub struct OwnStack {
    backing: Backing,
}

/// Starts a broker and a database server for one test, on free ports. Takes about three seconds, in containers about eight.
///
/// # Panics
/// When they do not start.
pub async fn exclusive() -> OwnStack {
    match Backing::start().await {
        Ok(backing) => OwnStack { backing },
        Err(error) => panic!("the test's broker and database do not start: {error:#}"),
    }
}

impl OwnStack {
    /// `host:port` of the broker. Stays the same when it is stopped and started.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.backing.kafka().to_string()
    }

    /// Changes a file of the broker's data, which has a folder for each partition: `file` is the path below that. To be called
    /// only while the broker is stopped.
    ///
    /// # Panics
    /// When the file cannot be read or written.
    pub fn change_kafka_file(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.backing
            .change_kafka_file(file, change)
            .expect("a file of Kafka's is changed");
    }

    /// The database server.
    #[must_use]
    pub fn server(&self) -> Server {
        self.backing.server()
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
    /// When it does not run, or does not end in time.
    pub async fn stop_kafka(&self) {
        self.backing.stop(Part::Kafka).await.expect("Kafka stops");
    }

    /// Stops the database server in good order: its clients are thrown out.
    ///
    /// # Panics
    /// When it does not run, or does not end in time.
    pub async fn stop_postgres(&self) {
        self.backing
            .stop(Part::Postgres)
            .await
            .expect("PostgreSQL stops");
    }

    /// `kill -9` for the broker.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill_kafka(&self) {
        self.backing
            .kill(Part::Kafka)
            .await
            .expect("Kafka is killed");
    }

    /// `kill -9` for the database server and all its backends.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill_postgres(&self) {
        self.backing
            .kill(Part::Postgres)
            .await
            .expect("PostgreSQL is killed");
    }

    /// Starts the broker again after a stop or a kill and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_kafka(&self) {
        self.backing
            .start_again(Part::Kafka)
            .await
            .expect("Kafka starts and answers");
    }

    /// Starts the database server again after a stop or a kill and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_postgres(&self) {
        self.backing
            .start_again(Part::Postgres)
            .await
            .expect("PostgreSQL starts and answers");
    }

    /// Freezes the broker: connections stay open, nobody answers.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause_kafka(&self) {
        self.backing.pause(Part::Kafka).expect("Kafka is paused");
    }

    /// Freezes the database server with all its backends.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause_postgres(&self) {
        self.backing
            .pause(Part::Postgres)
            .expect("PostgreSQL is paused");
    }

    /// Lets a frozen broker go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn continue_kafka(&self) {
        self.backing.resume(Part::Kafka).expect("Kafka goes on");
    }

    /// Lets a frozen database server go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn continue_postgres(&self) {
        self.backing
            .resume(Part::Postgres)
            .expect("PostgreSQL goes on");
    }

    /// Local processes, for anything else: programs started through them end with the test, too.
    #[must_use]
    pub fn processes(&self) -> &Processes {
        self.backing.processes()
    }
}
