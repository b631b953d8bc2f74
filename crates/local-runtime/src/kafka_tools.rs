//! Kafka's own command-line tools.

use crate::download::Installation;
use crate::environment;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::process::Command;

/// How a tool gets the broker's address when its arguments do not name one.
#[derive(Clone, Copy)]
enum Broker {
    /// `--bootstrap-server host:port`
    Bootstrap,
    /// Not at all: the tool reads files, or has an option of its own for the broker.
    None,
}

/// Name, main class (as the distribution's scripts start it), and how the tool gets the broker's
/// address.
const TOOLS: [(&str, &str, Broker); 21] = [
    (
        "broker-api-versions",
        "org.apache.kafka.tools.BrokerApiVersionsCommand",
        Broker::Bootstrap,
    ),
    (
        "cluster",
        "org.apache.kafka.tools.ClusterTool",
        Broker::None,
    ),
    ("configs", "kafka.admin.ConfigCommand", Broker::Bootstrap),
    (
        "console-consumer",
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        Broker::Bootstrap,
    ),
    (
        "console-producer",
        "org.apache.kafka.tools.ConsoleProducer",
        Broker::Bootstrap,
    ),
    (
        "console-share-consumer",
        "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        Broker::Bootstrap,
    ),
    (
        "consumer-groups",
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        Broker::Bootstrap,
    ),
    (
        "consumer-perf-test",
        "org.apache.kafka.tools.ConsumerPerformance",
        Broker::Bootstrap,
    ),
    (
        "delete-records",
        "org.apache.kafka.tools.DeleteRecordsCommand",
        Broker::Bootstrap,
    ),
    (
        "dump-log",
        "org.apache.kafka.tools.DumpLogSegments",
        Broker::None,
    ),
    (
        "features",
        "org.apache.kafka.tools.FeatureCommand",
        Broker::Bootstrap,
    ),
    (
        "get-offsets",
        "org.apache.kafka.tools.GetOffsetShell",
        Broker::Bootstrap,
    ),
    (
        "groups",
        "org.apache.kafka.tools.GroupsCommand",
        Broker::Bootstrap,
    ),
    (
        "leader-election",
        "org.apache.kafka.tools.LeaderElectionCommand",
        Broker::Bootstrap,
    ),
    (
        "log-dirs",
        "org.apache.kafka.tools.LogDirsCommand",
        Broker::Bootstrap,
    ),
    (
        "metadata-quorum",
        "org.apache.kafka.tools.MetadataQuorumCommand",
        Broker::Bootstrap,
    ),
    (
        "producer-perf-test",
        "org.apache.kafka.tools.ProducerPerformance",
        // Kafka 4.0 takes the broker in --producer-props only.
        Broker::None,
    ),
    (
        "reassign-partitions",
        "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
        Broker::Bootstrap,
    ),
    (
        "share-groups",
        "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
        Broker::Bootstrap,
    ),
    (
        "topics",
        "org.apache.kafka.tools.TopicCommand",
        Broker::Bootstrap,
    ),
    (
        "transactions",
        "org.apache.kafka.tools.TransactionsCommand",
        Broker::Bootstrap,
    ),
];

/// Warnings go to standard error. Without a configuration, log4j writes them to standard output,
/// into the result of the tool. Its simple logger needs no configuration file.
const LOG_TO_STANDARD_ERROR: [&str; 3] = [
    "-Dlog4j2.loggerContextFactory=org.apache.logging.log4j.simple.SimpleLoggerContextFactory",
    "-Dlog4j2.simplelogLevel=WARN",
    "-Dlog4j2.simplelogShowdatetime=true",
];

/// The names that [`command`] accepts, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, _, _)| *name)
}

/// The command that runs a tool, for the caller to execute. `--bootstrap-server` is added when the
/// tool takes one and the arguments name none. The name may be copied from documentation with
/// `kafka-` and `.sh`.
///
/// # Errors
/// When there is no tool of that name; the message lists all names.
pub fn command(
    installation: &Installation,
    bootstrap: &str,
    tool: &str,
    arguments: &[OsString],
) -> Result<Command> {
    let plain = tool.strip_prefix("kafka-").unwrap_or(tool);
    let plain = plain.strip_suffix(".sh").unwrap_or(plain);
    let Some((_, class, broker)) = TOOLS.iter().find(|(name, _, _)| *name == plain) else {
        bail!(
            "no Kafka tool \"{tool}\": there are {}",
            names().collect::<Vec<_>>().join(", ")
        );
    };
    let mut command = Command::new("java");
    environment::replace_interactive(&mut command).args([
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
    ]);
    command.args(LOG_TO_STANDARD_ERROR).arg("-cp");
    command.arg(installation.kafka_libs.join("*")).arg(class);
    let broker_given = arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        argument.starts_with("--bootstrap-server")
            || argument.starts_with("--bootstrap-controller")
            || argument == "--help"
    });
    if matches!(broker, Broker::Bootstrap) && !broker_given {
        command.args(["--bootstrap-server", bootstrap]);
    }
    command.args(arguments);
    Ok(command)
}
