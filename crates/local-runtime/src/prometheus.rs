//! Prometheus, where the machine has it: nothing is brought for it.

use crate::home::{Home, remove};
use crate::kafka::reachable;
use crate::process::{Processes, Program, resolve};
use crate::wait;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// The name of its process in a home.
pub const PROMETHEUS: &str = "prometheus";
/// It writes down what it has in memory, within a second or two; a stuck one is cut short.
pub const PROMETHEUS_GRACE: Duration = Duration::from_secs(20);

/// What it keeps, whichever is reached first. A stack that is watched all day writes some 50 MB.
const RETENTION: [&str; 2] = [
    "--storage.tsdb.retention.time=7d",
    "--storage.tsdb.retention.size=512MB",
];

/// Three scrapes. By default a value is drawn on for 5 minutes, also while the server was away and nobody looked.
const LOOKBACK: &str = "--query.lookback-delta=15s";

/// One server, not necessarily running.
#[derive(Clone, Debug)]
pub struct Prometheus {
    home: Home,
    /// The address it listens on.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
}

impl Prometheus {
    /// The server of `home` on `address:port`.
    #[must_use]
    pub fn new(home: &Home, address: IpAddr, port: u16) -> Self {
        Self {
            home: home.clone(),
            address,
            port,
        }
    }

    /// Where this machine has the program: in `PATH`.
    ///
    /// # Errors
    /// When it has none.
    pub fn executable() -> Result<PathBuf> {
        resolve(Path::new(PROMETHEUS))
    }

    /// Brings `local.yml` and `alerts.yml` from the folder `from` into the home. Call while the server is stopped.
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

    /// Replaces the list of what is scraped, in the format of `file_sd_config`; a running server reads it within seconds.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_targets(&self, list: &str) -> Result<()> {
        let file = self.config()?.join("targets.json");
        // Written beside and renamed: half a list would be read as an error, and the old one kept.
        let fresh = file.with_extension("json.new");
        fs::write(&fresh, list)
            .and_then(|()| fs::rename(&fresh, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// The server as a program for [`Processes::start`].
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn program(&self) -> Result<Program> {
        let config = self.config()?.join("local.yml");
        let listen = SocketAddr::new(self.address, self.port);
        let mut program = Program::new(PROMETHEUS, PROMETHEUS);
        program.arguments = vec![
            format!("--config.file={}", config.display()).into(),
            format!("--storage.tsdb.path={}", self.data().display()).into(),
            format!("--web.listen-address={listen}").into(),
            LOOKBACK.into(),
        ];
        program.arguments.extend(RETENTION.map(Into::into));
        program
            .labels
            .insert("port".to_owned(), self.port.to_string());
        Ok(program)
    }

    /// Waits until the server answers queries.
    ///
    /// # Errors
    /// When it ended meanwhile, or did not answer within the time; the message holds its last log line.
    pub async fn ready(&self, processes: &Processes, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.answers().await {
            let last = processes
                .last_log_line(PROMETHEUS)
                .unwrap_or_else(|| "its log is empty".to_owned());
            if !processes.runs(PROMETHEUS)? {
                bail!("Prometheus ended while it started: {last}");
            }
            if Instant::now() >= deadline {
                bail!(
                    "Prometheus does not answer on port {} after {} s: {last}",
                    self.port,
                    within.as_secs()
                );
            }
            wait::turn().await;
        }
        Ok(())
    }

    /// True when the server answers queries now.
    pub async fn answers(&self) -> bool {
        matches!(
            timeout(Duration::from_secs(1), self.ask()).await,
            Ok(Ok(true))
        )
    }

    async fn ask(&self) -> std::io::Result<bool> {
        let address = SocketAddr::new(reachable(self.address), self.port);
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok(status.ends_with(b" 200"))
    }

    /// Removes what it measured. Call while the server is stopped.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove_data(&self) -> Result<()> {
        remove(&self.data())
    }

    fn data(&self) -> PathBuf {
        self.home.data().join("prometheus")
    }

    fn config(&self) -> Result<PathBuf> {
        let folder = self.home.config().join("prometheus");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        Ok(folder)
    }
}
