//! One PostgreSQL server on its own data folder.
//!
//! PostgreSQL refuses to run as root, so a server started by root runs as `nobody`. When `nobody`
//! cannot enter the state directory (for example below `/root`), the data goes to
//! `/var/tmp/saga-sandbox-…`. The state directory lists that folder, and [`StateDir::remove_data`]
//! removes it.

use crate::database::{DatabaseServer, SUPERUSER};
use crate::download::Installation;
use crate::environment;
use crate::free_ports::connect_address;
use crate::process::{ProcessRecord, Processes, Program, StopSignal, first_failure};
use crate::run_as_nobody::{UnprivilegedUser, enterable_folder};
use crate::state_dir::{StateDir, create_folder, remove};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The name of the server's process in a state directory.
pub const POSTGRES: &str = "postgres";
/// How long a shutdown, which writes a checkpoint, may take before the server is killed.
pub const POSTGRES_GRACE: Duration = Duration::from_secs(20);

/// One server, not necessarily running.
#[derive(Clone, Debug)]
pub struct Postgres {
    state_dir: StateDir,
    bin: PathBuf,
    /// The address it listens on.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
}

impl Postgres {
    /// The server of `state_dir` on `address:port`.
    #[must_use]
    pub fn new(
        state_dir: &StateDir,
        installation: &Installation,
        address: IpAddr,
        port: u16,
    ) -> Self {
        Self {
            state_dir: state_dir.clone(),
            bin: installation.postgres_bin.clone(),
            address,
            port,
        }
    }

    /// The server as its clients on this machine see it.
    #[must_use]
    pub fn server(&self) -> DatabaseServer {
        DatabaseServer(SocketAddr::new(connect_address(self.address), self.port))
    }

    /// Creates the database cluster when there is none. Call it while the server is stopped.
    ///
    /// # Errors
    /// When a folder cannot be created or `initdb` fails; the message holds the cause.
    pub async fn prepare(&self) -> Result<()> {
        let user = UnprivilegedUser::instead_of_root()?;
        let (folder, data) = (self.folder(user.as_ref())?, self.data(user.as_ref())?);
        if data.join("PG_VERSION").is_file() {
            return Ok(());
        }
        if let Some(user) = &user {
            user.own(&folder)?;
        }
        // Created under another name and renamed, so that an interrupted initdb leaves no
        // incomplete cluster.
        let fresh = folder.join("cluster.new");
        remove(&fresh)?;
        self.run_initdb(user.as_ref(), &folder, &fresh).await?;
        // The address that the server listens on decides which clients can connect.
        let access = fresh.join("pg_hba.conf");
        fs::write(&access, "host all all all scram-sha-256\n")
            .with_context(|| format!("cannot write {}", access.display()))?;
        fs::rename(&fresh, &data).with_context(|| format!("cannot create {}", data.display()))
    }

    async fn run_initdb(
        &self,
        user: Option<&UnprivilegedUser>,
        folder: &Path,
        cluster: &Path,
    ) -> Result<()> {
        let password = folder.join("password");
        fs::write(&password, SUPERUSER)
            .with_context(|| format!("cannot write {}", password.display()))?;
        let mut line: Vec<_> = user.map(UnprivilegedUser::prefix).unwrap_or_default();
        line.push(self.bin.join("initdb").into());
        let mut words = line.into_iter();
        let mut initdb = Command::new(words.next().unwrap_or_default());
        environment::replace(initdb.as_std_mut());
        initdb
            .args(words)
            .arg("--pgdata")
            .arg(cluster)
            .arg(format!("--username={SUPERUSER}"))
            .arg("--pwfile")
            .arg(&password);
        initdb
            .args(INITDB)
            .args(["--auth=scram-sha-256", "--no-instructions"]);
        let output = initdb
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let output =
            output.with_context(|| format!("cannot run {}", self.bin.join("initdb").display()))?;
        remove(&password)?;
        if !output.status.success() {
            let cause = first_failure(&String::from_utf8_lossy(&output.stderr));
            bail!(
                "PostgreSQL's data folder could not be created: {}",
                cause.as_deref().unwrap_or("initdb gave no reason")
            );
        }
        Ok(())
    }

    /// The server as a program for [`Processes::start`].
    ///
    /// # Errors
    /// When the data folder cannot be created.
    pub fn program(&self) -> Result<Program> {
        let user = UnprivilegedUser::instead_of_root()?;
        let mut program = Program::new(POSTGRES, self.bin.join("postgres"));
        program.arguments = vec!["-D".into(), self.data(user.as_ref())?.into()];
        program.folder = Some(self.folder(user.as_ref())?);
        let own = [
            format!("listen_addresses={}", self.address),
            format!("port={}", self.port),
            // No Unix socket: its path would be too long below some state directories.
            "unix_socket_directories=".to_owned(),
        ];
        for setting in own.iter().map(String::as_str).chain(SETTINGS) {
            program.arguments.extend(["-c".into(), setting.into()]);
        }
        program.user = user;
        program.stop_signal = StopSignal::Interrupt;
        program
            .labels
            .insert("port".to_owned(), self.port.to_string());
        Ok(program)
    }

    /// Prepares and starts the server. It answers a moment later: see [`Postgres::ready`].
    ///
    /// # Errors
    /// As [`Postgres::prepare`] and [`Processes::start`].
    pub async fn start(&self, processes: &Processes) -> Result<ProcessRecord> {
        self.prepare().await?;
        processes.start(&self.program()?).await
    }

    /// Waits until the server takes connections.
    ///
    /// # Errors
    /// When the server ended meanwhile, or did not answer within `within`; the message holds the
    /// cause from its log.
    pub async fn ready(&self, processes: &Processes, within: Duration) -> Result<()> {
        let server = self.server();
        let status = self
            .data(UnprivilegedUser::instead_of_root()?.as_ref())?
            .join("postmaster.pid");
        processes
            .until_ready(POSTGRES, "PostgreSQL", server.0, within, async || {
                // A server that still starts would log each attempt to connect as an error.
                accepts_connections(&status) && server.answers().await
            })
            .await
    }

    /// The folder whose owner is the user that runs the server.
    fn folder(&self, user: Option<&UnprivilegedUser>) -> Result<PathBuf> {
        let list = self.state_dir.outside_list();
        let parent = enterable_folder(&list, &self.state_dir.data(), user)?;
        let folder = parent.join("postgres");
        create_folder(&folder)?;
        Ok(folder)
    }

    fn data(&self, user: Option<&UnprivilegedUser>) -> Result<PathBuf> {
        Ok(self.folder(user)?.join("cluster"))
    }
}

/// Whether the server says in its lock file that it accepts connections: the eighth line, which
/// `pg_ctl --wait` reads too.
fn accepts_connections(lock_file: &Path) -> bool {
    let text = fs::read_to_string(lock_file).unwrap_or_default();
    text.lines().nth(7).map(str::trim) == Some("ready")
}

/// The options of `initdb`, for local processes and for containers.
pub const INITDB: [&str; 3] = [
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
];

/// The server's settings for local processes and for containers, each for one `-c` option.
pub const SETTINGS: [&str; 7] = [
    // In the data folder instead of /dev/shm: a killed server leaves nothing elsewhere.
    "dynamic_shared_memory_type=mmap",
    // Enough for nine instances of each service with their connection pools, and for tests.
    "max_connections=400",
    "jit=off",
    "log_checkpoints=off",
    "timezone=UTC",
    // Logs of several processes are sorted by time.
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] ",
];
