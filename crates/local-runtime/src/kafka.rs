//! One Apache Kafka node: broker and controller in one process (KRaft combined mode).

mod settings;

pub use settings::{CLUSTER_ID, HEAP, Place, settings};

use crate::dist::Installation;
use crate::home::Home;
use crate::process::{Processes, Program, Record};
use crate::wait;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// The name of its process in a home.
pub const KAFKA: &str = "kafka";
/// A shutdown in good order takes one to two seconds; a stuck one is cut short.
pub const KAFKA_GRACE: Duration = Duration::from_secs(20);

/// One node, not necessarily running.
#[derive(Clone, Debug)]
pub struct Kafka {
    home: Home,
    libs: PathBuf,
    /// The address clients listen on and connect to.
    pub address: IpAddr,
    /// The port clients connect to.
    pub port: u16,
}

impl Kafka {
    /// The node of `home` for clients on `address:port`.
    #[must_use]
    pub fn new(home: &Home, installation: &Installation, address: IpAddr, port: u16) -> Self {
        Self {
            home: home.clone(),
            libs: installation.kafka_libs.clone(),
            address,
            port,
        }
    }

    /// `host:port` for clients on this machine.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        SocketAddr::new(reachable(self.address), self.port).to_string()
    }

    /// Writes the configuration and formats the data folder when it is new. Call while the node is stopped.
    ///
    /// # Errors
    /// When a file cannot be written, or Java is missing or refuses.
    pub async fn prepare(&self) -> Result<()> {
        let [controller] = crate::ports::free()?;
        write(&self.log_settings(), LOG4J)?;
        write(&self.properties(), &self.settings(controller))?;
        if self.data().join("meta.properties").is_file() {
            return Ok(());
        }
        let mut format = Command::new("java");
        format
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(self.common_arguments());
        format.args([
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "--cluster-id",
            CLUSTER_ID,
            "--config",
        ]);
        format
            .arg(self.properties())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = format
            .output()
            .await
            .context("cannot run java: install a Java runtime, version 17 or later")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "Kafka's data folder could not be made: {}",
                said.lines().last().unwrap_or("java gave no reason")
            );
        }
        Ok(())
    }

    /// The node as a program for [`Processes::start`].
    #[must_use]
    pub fn program(&self) -> Program {
        let mut program = Program::new(KAFKA, "java");
        let collector = [
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:+ExitOnOutOfMemoryError",
        ];
        program.arguments.extend(HEAP.map(Into::into));
        program.arguments.extend(collector.map(Into::into));
        program
            .arguments
            .extend(self.common_arguments().map(Into::into));
        program.arguments.push("kafka.Kafka".into());
        program.arguments.push(self.properties().into());
        program
            .labels
            .insert("port".to_owned(), self.port.to_string());
        program
    }

    /// Prepares and starts the node; it may take some seconds more until [`Kafka::ready`].
    ///
    /// # Errors
    /// As [`Kafka::prepare`] and [`Processes::start`].
    pub async fn start(&self, processes: &Processes) -> Result<Record> {
        self.prepare().await?;
        processes.start(&self.program()).await
    }

    /// Waits until the node answers a request.
    ///
    /// # Errors
    /// When it ended meanwhile, or did not answer within the time; the message holds its last log line.
    pub async fn ready(&self, processes: &Processes, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.answers().await {
            let last = processes
                .last_log_line(KAFKA)
                .unwrap_or_else(|| "its log is empty".to_owned());
            if !processes.runs(KAFKA)? {
                bail!("Kafka ended while it started: {last}");
            }
            if Instant::now() >= deadline {
                bail!(
                    "Kafka does not answer on {} after {} s: {last}",
                    self.bootstrap(),
                    within.as_secs()
                );
            }
            wait::turn().await;
        }
        Ok(())
    }

    /// True when the node answers a request now.
    pub async fn answers(&self) -> bool {
        answers(SocketAddr::new(reachable(self.address), self.port)).await
    }

    fn common_arguments(&self) -> [String; 7] {
        [
            // Nothing in /tmp: neither the JVM's statistics file nor unpacked native libraries, which a killed one leaves there.
            "-XX:-UsePerfData".to_owned(),
            format!("-Djava.io.tmpdir={}", self.home.config().display()),
            "-Djava.awt.headless=true".to_owned(),
            format!(
                "-Dlog4j2.configurationFile={}",
                self.log_settings().display()
            ),
            format!("-Dkafka.logs.dir={}", self.home.logs().display()),
            "-cp".to_owned(),
            self.libs.join("*").display().to_string(),
        ]
    }

    /// The folder of the node's logs: one folder a partition.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.data().join("kafka")
    }

    fn properties(&self) -> PathBuf {
        self.home.config().join("kafka.properties")
    }

    fn log_settings(&self) -> PathBuf {
        self.home.config().join("kafka-log4j2.properties")
    }

    fn settings(&self, controller: u16) -> String {
        let place = Place {
            listen: SocketAddr::new(self.address, self.port),
            bootstrap: &self.bootstrap(),
            controller,
            data: &self.data(),
        };
        settings(place)
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    }
}

/// True when a broker answers a request at this address now, whoever started it.
pub async fn answers(broker: SocketAddr) -> bool {
    matches!(
        timeout(Duration::from_secs(1), ask(broker)).await,
        Ok(Ok(true))
    )
}

/// Asks which versions of the protocol it speaks: the one request every broker of every version answers.
async fn ask(broker: SocketAddr) -> std::io::Result<bool> {
    // length 10 · API key 18 (ApiVersions) · version 0 · correlation id 7 · no client id
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_all(&REQUEST).await?;
    // length · correlation id · error code
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await?;
    Ok(answer.ends_with(&[0, 0, 0, 7, 0, 0]))
}

const LOG4J: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS'000Z'}{UTC} %5p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
";

fn write(path: &std::path::Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Where a client on this machine reaches what listens on `address`: "everywhere" is no address to connect to.
pub(crate) fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        given => given,
    }
}
