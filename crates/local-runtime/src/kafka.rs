//! An Apache Kafka node: broker and controller in one process (KRaft combined mode).
//!
//! The node works in the state directory, and every path in its options and in its configuration is
//! relative to it. The name of that folder may hold any character then: an absolute path would have
//! to be escaped in the properties file, `log.dirs` splits a value at each comma, and the
//! log4j configuration is read as a URL.

pub use crate::kafka_properties::{CLUSTER_ID, KAFKA, Node, NodeConfig, server_properties};

use crate::download::Installation;
use crate::environment;
use crate::free_ports::connect_address;
use crate::process::{ProcessRecord, Processes, Program, first_failure};
use crate::state_dir::StateDir;
use anyhow::{Context, Result, anyhow, bail};
use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a shutdown may take before the broker is killed. A normal one takes one to two seconds.
pub const KAFKA_GRACE: Duration = Duration::from_secs(20);

/// The label of a process record that holds the controllers' ports of its cluster, separated by
/// commas.
pub const CONTROLLERS_LABEL: &str = "controllers";

/// The configuration of every node's log, below the state directory.
const LOG_SETTINGS: &str = "config/kafka-log4j2.properties";

/// One node, not necessarily running.
#[derive(Clone, Debug)]
pub struct Kafka {
    state_dir: StateDir,
    libs: PathBuf,
    node: Node,
    /// Empty: a free port is chosen at each start.
    controllers: Vec<u16>,
    /// The address clients listen on and connect to.
    pub address: IpAddr,
    /// The port clients connect to.
    pub port: u16,
}

impl Kafka {
    /// The only node of `state_dir`, for clients on `address:port`.
    #[must_use]
    pub fn new(
        state_dir: &StateDir,
        installation: &Installation,
        address: IpAddr,
        port: u16,
    ) -> Self {
        Self {
            state_dir: state_dir.clone(),
            libs: installation.kafka_libs.clone(),
            node: Node::ONLY,
            controllers: Vec::new(),
            address,
            port,
        }
    }

    /// The same as a node of a cluster whose controllers listen on these ports of 127.0.0.1, by the
    /// ids of their nodes. All nodes that run at the same time need the same ports.
    #[must_use]
    pub fn in_cluster(self, node: Node, controllers: Vec<u16>) -> Self {
        Self {
            node,
            controllers,
            ..self
        }
    }

    /// The name of its process.
    #[must_use]
    pub fn name(&self) -> String {
        self.node.name()
    }

    /// `host:port` for clients on this machine.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.client_address().to_string()
    }

    /// Writes the configuration, and formats the data folder when it is new. Call it while the node
    /// is stopped.
    ///
    /// # Errors
    /// When a file cannot be written, or Java is missing or fails.
    pub async fn prepare(&self) -> Result<()> {
        let free;
        let controllers = match self.controllers.as_slice() {
            [] => {
                free = crate::free_ports::free::<1>()?;
                &free
            }
            given => given,
        };
        let folder = self.state_dir.folder();
        write(&folder.join(LOG_SETTINGS), LOG4J)?;
        let properties = self.properties_file(controllers);
        write(&folder.join(self.properties()), &properties)?;
        if self.data().join("meta.properties").is_file() {
            return Ok(());
        }
        let mut format = Command::new("java");
        environment::replace(format.as_std_mut());
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
            .current_dir(self.state_dir.folder())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = format
            .output()
            .await
            .context("cannot run java: install a Java runtime, version 17 or later")?;
        if !output.status.success() {
            // Java names an option that it refuses on the one stream or on the other.
            let printed = [output.stderr, output.stdout].concat();
            let cause = first_failure(&String::from_utf8_lossy(&printed));
            bail!(
                "Kafka's data folder could not be formatted: {}",
                cause.as_deref().unwrap_or("java gave no reason")
            );
        }
        Ok(())
    }

    /// The node as a program for [`Processes::start`].
    #[must_use]
    pub fn program(&self) -> Program {
        let mut program = Program::new(self.name(), "java");
        let performance = jvm_performance_options();
        program.arguments.extend(self.node.heap().map(Into::into));
        program
            .arguments
            .extend(performance.split_whitespace().map(Into::into));
        program.arguments.push("-XX:+ExitOnOutOfMemoryError".into());
        program.arguments.extend(self.common_arguments());
        program.arguments.push("kafka.Kafka".into());
        program.arguments.push(self.properties().into());
        program.folder = Some(self.state_dir.folder().to_owned());
        program
            .labels
            .insert("port".to_owned(), self.port.to_string());
        if !self.controllers.is_empty() {
            let ports: Vec<String> = self.controllers.iter().map(u16::to_string).collect();
            program
                .labels
                .insert(CONTROLLERS_LABEL.to_owned(), ports.join(","));
        }
        program
    }

    /// Prepares and starts the node. It answers some seconds later: see [`Kafka::ready`].
    ///
    /// # Errors
    /// As [`Kafka::prepare`] and [`Processes::start`].
    pub async fn start(&self, processes: &Processes) -> Result<ProcessRecord> {
        self.prepare().await?;
        processes.start(&self.program()).await
    }

    /// Waits until the node answers a request.
    ///
    /// # Errors
    /// When the node ended meanwhile, or did not answer within `within`; the message holds the cause
    /// from its log.
    pub async fn ready(&self, processes: &Processes, within: Duration) -> Result<()> {
        let title = match self.node {
            Node::ONLY => "Kafka".to_owned(),
            node => node.name(),
        };
        let name = self.name();
        processes
            .until_ready(&name, &title, self.client_address(), within, || {
                self.answers()
            })
            .await
            .map_err(|error| match is_of_newer_kafka(&error.to_string()) {
                true => anyhow!(
                    "{title} does not start: this data was written by a newer Kafka; ./sandbox down --reset"
                ),
                false => error,
            })
    }

    /// True when the node answers a request now.
    pub async fn answers(&self) -> bool {
        answers(self.client_address()).await
    }

    fn client_address(&self) -> SocketAddr {
        SocketAddr::new(connect_address(self.address), self.port)
    }

    fn common_arguments(&self) -> [OsString; 9] {
        [
            // A killed JVM would leave its statistics file and unpacked native libraries in /tmp.
            "-XX:-UsePerfData".into(),
            "-Djava.io.tmpdir=config".into(),
            // Removed with the other logs.
            format!("-XX:ErrorFile=logs/{}-crash.log", self.name()).into(),
            "-XX:-CreateCoredumpOnCrash".into(),
            "-Djava.awt.headless=true".into(),
            format!("-Dlog4j2.configurationFile={LOG_SETTINGS}").into(),
            "-Dkafka.logs.dir=logs".into(),
            "-cp".into(),
            self.libs.join("*").into(),
        ]
    }

    /// The folder of the node's data: one subfolder a partition.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.state_dir.data().join(self.name())
    }

    /// The node's configuration, below the state directory.
    fn properties(&self) -> String {
        format!("config/{}.properties", self.name())
    }

    fn properties_file(&self, controllers: &[u16]) -> String {
        let config = NodeConfig {
            node: self.node,
            listen: SocketAddr::new(self.address, self.port),
            bootstrap: &self.bootstrap(),
            controllers,
            data: &format!("data/{}", self.name()),
        };
        server_properties(config)
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    }
}

/// The garbage collector and the compiler of the JVM, from the variable that Kafka's own scripts read.
#[allow(
    clippy::disallowed_methods,
    reason = "tests start brokers without parsed settings"
)]
fn jvm_performance_options() -> String {
    std::env::var("KAFKA_JVM_PERFORMANCE_OPTS")
        .unwrap_or_else(|_| "-XX:+UseG1GC -XX:MaxGCPauseMillis=20".to_owned())
}

/// Whether a failed start found metadata that only a newer version can read: a record in a newer
/// format, or a newer `metadata.version`. Kafka has no error code for it.
fn is_of_newer_kafka(cause: &str) -> bool {
    cause.contains("Can't read version") || cause.contains("No MetadataVersion with feature level")
}

/// True when a broker answers a request at this address now, however it was started.
pub async fn answers(broker: SocketAddr) -> bool {
    matches!(
        timeout(Duration::from_secs(1), answers_api_versions(broker)).await,
        Ok(Ok(true))
    )
}

/// Sends an `ApiVersions` request, which a broker of any version answers.
async fn answers_api_versions(broker: SocketAddr) -> std::io::Result<bool> {
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

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_a_newer_kafka_is_recognised_and_another_failure_is_not() {
        let of_4_3_1 = "UnsupportedVersionException: Can't read version 4 of BrokerEndpoint";
        assert!(is_of_newer_kafka(of_4_3_1));
        assert!(!is_of_newer_kafka(
            "java.net.BindException: Address already in use"
        ));
    }
}
