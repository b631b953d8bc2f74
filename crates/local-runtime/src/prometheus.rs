//! One Prometheus server, where the machine has the program. It is not downloaded.

use crate::free_ports::connect_address;
use crate::process::{Processes, Program, resolve};
use crate::state_dir::{StateDir, create_folder, remove, replace_file};
use anyhow::{Context, Result};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The name of the server's process in a state directory, and of its program.
pub const PROMETHEUS: &str = "prometheus";
/// How long a shutdown may take before the server is killed. A normal one takes one to two seconds.
pub const PROMETHEUS_GRACE: Duration = Duration::from_secs(20);

/// The limits of stored data; the first one reached counts. A stack writes about 50 MB a day.
const RETENTION: [&str; 2] = [
    "--storage.tsdb.retention.time=7d",
    "--storage.tsdb.retention.size=512MB",
];

/// Three scrapes. With the default of 5 minutes, a value would still be shown long after its target
/// has gone.
const LOOKBACK: &str = "--query.lookback-delta=15s";

/// One server, not necessarily running.
#[derive(Clone, Debug)]
pub struct Prometheus {
    state_dir: StateDir,
    /// The address it listens on.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
}

impl Prometheus {
    /// The server of `state_dir` on `address:port`.
    #[must_use]
    pub fn new(state_dir: &StateDir, address: IpAddr, port: u16) -> Self {
        Self {
            state_dir: state_dir.clone(),
            address,
            port,
        }
    }

    /// The path of the program, looked up in `PATH`.
    ///
    /// # Errors
    /// When the program is not installed.
    pub fn executable() -> Result<PathBuf> {
        resolve(Path::new(PROMETHEUS))
    }

    /// Copies `local.yml` and `alerts.yml` from the folder `from` into the state directory. Call it
    /// while the server is stopped.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn prepare(&self, from: &Path) -> Result<()> {
        let folder = self.config()?;
        for name in ["local.yml", "alerts.yml"] {
            let file = from.join(name);
            fs::copy(&file, folder.join(name))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        Ok(())
    }

    /// Replaces the list of scrape targets, in the format of `file_sd_config`. A running server
    /// reads it within seconds.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_targets(&self, list: &str) -> Result<()> {
        let file = self.config()?.join("targets.json");
        // Prometheus would keep the old list when it reads an incomplete one.
        replace_file(&file, list)
    }

    /// The server as a program for [`Processes::start`].
    ///
    /// # Errors
    /// When a folder cannot be created.
    pub fn program(&self) -> Result<Program> {
        let listen = SocketAddr::new(self.address, self.port);
        let mut program = Program::new(PROMETHEUS, PROMETHEUS);
        program.arguments = vec![
            "--config.file=local.yml".into(),
            "--storage.tsdb.path=../../data/prometheus".into(),
            format!("--web.listen-address={listen}").into(),
            LOOKBACK.into(),
        ];
        program.arguments.extend(RETENTION.map(Into::into));
        // Relative paths: the paths of rules and targets are patterns, in which a bracket or a star
        // in the name of an absolute folder would match something else.
        program.folder = Some(self.config()?);
        program
            .labels
            .insert("port".to_owned(), self.port.to_string());
        Ok(program)
    }

    /// Waits until the server answers queries.
    ///
    /// # Errors
    /// When the server ended meanwhile, or did not answer within `within`; the message holds the
    /// cause from its log.
    pub async fn ready(&self, processes: &Processes, within: Duration) -> Result<()> {
        let address = self.client_address();
        processes
            .until_ready(PROMETHEUS, "Prometheus", address, within, || self.answers())
            .await
    }

    /// True when the server answers queries now.
    pub async fn answers(&self) -> bool {
        matches!(
            timeout(Duration::from_secs(1), self.get_ready()).await,
            Ok(Ok(true))
        )
    }

    async fn get_ready(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(self.client_address()).await?;
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok(status.ends_with(b" 200"))
    }

    /// Removes all recorded metrics. Call it while the server is stopped.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_data(&self) -> Result<()> {
        remove(&self.data())
    }

    fn client_address(&self) -> SocketAddr {
        SocketAddr::new(connect_address(self.address), self.port)
    }

    fn data(&self) -> PathBuf {
        self.state_dir.data().join("prometheus")
    }

    fn config(&self) -> Result<PathBuf> {
        let folder = self.state_dir.config().join("prometheus");
        create_folder(&folder)?;
        Ok(folder)
    }
}
