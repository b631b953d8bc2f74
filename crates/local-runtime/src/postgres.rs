//! One PostgreSQL server on its own data folder.
//!
//! As root it runs as `nobody`, because PostgreSQL refuses root; when `nobody` cannot reach the home (it lies under `/root`,
//! say), the data goes to `/var/tmp/saga-sandbox-…` and is noted in the home, so that [`Home::remove_data`] finds it.

use crate::database::{SUPERUSER, Server};
use crate::dist::Installation;
use crate::home::{Home, remove};
use crate::kafka::reachable;
use crate::process::{Processes, Program, Record, StopSignal};
use crate::reach::{Unprivileged, within_reach};
use crate::wait;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// The name of its process in a home.
pub const POSTGRES: &str = "postgres";
/// A fast shutdown writes a checkpoint; a stuck one is cut short.
pub const POSTGRES_GRACE: Duration = Duration::from_secs(20);

/// One server, not necessarily running.
#[derive(Clone, Debug)]
pub struct Postgres {
    home: Home,
    bin: PathBuf,
    /// The address it listens on.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
}

impl Postgres {
    /// The server of `home` on `address:port`.
    #[must_use]
    pub fn new(home: &Home, installation: &Installation, address: IpAddr, port: u16) -> Self {
        Self {
            home: home.clone(),
            bin: installation.postgres_bin.clone(),
            address,
            port,
        }
    }

    /// The server as its clients on this machine see it.
    #[must_use]
    pub fn server(&self) -> Server {
        Server(SocketAddr::new(reachable(self.address), self.port))
    }

    /// Makes the data folder when it is new. Call while the server is stopped.
    ///
    /// # Errors
    /// When a folder cannot be made or `initdb` refuses (its last line is in the message).
    pub async fn prepare(&self) -> Result<()> {
        let user = Unprivileged::instead_of_root()?;
        let (folder, data) = (self.folder(user.as_ref())?, self.data(user.as_ref())?);
        if data.join("PG_VERSION").is_file() {
            return Ok(());
        }
        if let Some(user) = &user {
            user.own(&folder)?;
        }
        // Made beside and renamed: an interrupted initdb leaves nothing that looks like a database.
        let fresh = folder.join("cluster.new");
        remove(&fresh)?;
        let password = folder.join("password");
        fs::write(&password, SUPERUSER)
            .with_context(|| format!("cannot write {}", password.display()))?;
        let mut line = user
            .iter()
            .flat_map(Unprivileged::prefix)
            .collect::<Vec<_>>();
        line.push(self.bin.join("initdb").into());
        let mut words = line.into_iter();
        let mut initdb = Command::new(words.next().unwrap_or_default());
        initdb
            .args(words)
            .arg("--pgdata")
            .arg(&fresh)
            .arg(format!("--username={SUPERUSER}"))
            .arg("--pwfile")
            .arg(&password);
        initdb
            .args(INITDB)
            .args(["--auth=scram-sha-256", "--no-instructions"]);
        let output = initdb
            .current_dir(&folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let output =
            output.with_context(|| format!("cannot run {}", self.bin.join("initdb").display()))?;
        remove(&password)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "PostgreSQL's data folder could not be made: {}",
                said.lines().last().unwrap_or("initdb gave no reason")
            );
        }
        // Whom we listen to is decided by the address, not twice.
        let access = fresh.join("pg_hba.conf");
        fs::write(&access, "host all all all scram-sha-256\n")
            .with_context(|| format!("cannot write {}", access.display()))?;
        fs::rename(&fresh, &data).with_context(|| format!("cannot make {}", data.display()))
    }

    /// The server as a program for [`Processes::start`].
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn program(&self) -> Result<Program> {
        let user = Unprivileged::instead_of_root()?;
        let mut program = Program::new(POSTGRES, self.bin.join("postgres"));
        program.arguments = vec!["-D".into(), self.data(user.as_ref())?.into()];
        program.folder = Some(self.folder(user.as_ref())?);
        let place = [
            format!("listen_addresses={}", self.address),
            format!("port={}", self.port),
            // No socket file: its path would be too long in some homes, and TCP is what the services use.
            "unix_socket_directories=".to_owned(),
        ];
        for setting in place.iter().map(String::as_str).chain(SETTINGS) {
            program.arguments.extend(["-c".into(), setting.into()]);
        }
        program.user = user;
        program.stop_signal = StopSignal::Interrupt;
        program
            .labels
            .insert("port".to_owned(), self.port.to_string());
        Ok(program)
    }

    /// Prepares and starts the server; it may take a moment more until [`Postgres::ready`].
    ///
    /// # Errors
    /// As [`Postgres::prepare`] and [`Processes::start`].
    pub async fn start(&self, processes: &Processes) -> Result<Record> {
        self.prepare().await?;
        processes.start(&self.program()?).await
    }

    /// Waits until the server takes connections.
    ///
    /// # Errors
    /// When it ended meanwhile, or did not answer within the time; the message holds its last log line.
    pub async fn ready(&self, processes: &Processes, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.server().answers().await {
            let last = processes
                .last_log_line(POSTGRES)
                .unwrap_or_else(|| "its log is empty".to_owned());
            if !processes.runs(POSTGRES)? {
                bail!("PostgreSQL ended while it started: {last}");
            }
            if Instant::now() >= deadline {
                bail!(
                    "PostgreSQL does not answer on port {} after {} s: {last}",
                    self.port,
                    within.as_secs()
                );
            }
            wait::turn().await;
        }
        Ok(())
    }

    /// The folder that belongs to the server's user.
    fn folder(&self, user: Option<&Unprivileged>) -> Result<PathBuf> {
        within_reach(&self.home.outside_note(), &self.home.data(), user).and_then(|place| {
            let folder = place.join("postgres");
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create the folder {}", folder.display()))?;
            Ok(folder)
        })
    }

    fn data(&self, user: Option<&Unprivileged>) -> Result<PathBuf> {
        Ok(self.folder(user)?.join("cluster"))
    }
}

/// How `initdb` makes a cluster, wherever it runs.
pub const INITDB: [&str; 3] = [
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
];

/// The settings that do not depend on the place, each for a `-c` of the server.
pub const SETTINGS: [&str; 6] = [
    // Under the data folder instead of /dev/shm, so that a killed server leaves nothing outside of it.
    "dynamic_shared_memory_type=mmap",
    // Nine instances of each service with their pools, and the tests.
    "max_connections=400",
    "jit=off",
    "log_checkpoints=off",
    "timezone=UTC",
    "log_line_prefix=%m [%p] ",
];
