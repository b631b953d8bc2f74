//! The configuration of a single Kafka node. Local processes get it as a properties file,
//! containers of tests as environment variables.

use std::net::SocketAddr;

/// Any 16 bytes in URL-safe Base64. All sandboxes share it, because no two of them are connected.
pub const CLUSTER_ID: &str = "c2FnYS1zYW5kYm94LTAwMQ";
/// The JVM's heap options.
pub const HEAP: [&str; 2] = ["-Xms256m", "-Xmx512m"];

/// The part of the configuration that differs between nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeConfig<'a> {
    /// The address and port of the listener for clients.
    pub listen: SocketAddr,
    /// `host:port` that clients connect to. The node connects to it too, to write transaction
    /// markers.
    pub bootstrap: &'a str,
    /// The controller's port, on 127.0.0.1.
    pub controller: u16,
    /// The data folder (`log.dirs`). Kafka takes a comma for the end of its name, and reads the
    /// properties file in ISO 8859-1.
    pub data: &'a str,
}

/// Names and values as Kafka's documentation lists them.
pub fn server_properties(config: NodeConfig<'_>) -> impl Iterator<Item = (&'static str, String)> {
    let NodeConfig {
        listen,
        bootstrap,
        controller,
        data,
    } = config;
    let own = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        (
            "controller.quorum.voters",
            format!("1@127.0.0.1:{controller}"),
        ),
        (
            "listeners",
            format!("CLIENTS://{listen},CONTROLLER://127.0.0.1:{controller}"),
        ),
        ("advertised.listeners", format!("CLIENTS://{bootstrap}")),
        (
            "listener.security.protocol.map",
            "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        ("inter.broker.listener.name", "CLIENTS".to_owned()),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("log.dirs", data.to_owned()),
    ];
    let common = COMMON.map(|(name, value)| (name, value.to_owned()));
    own.into_iter().chain(common)
}

/// The part of the configuration that all nodes share. A single broker holds one replica of a
/// partition, so a higher replication factor would never be reached.
const COMMON: [(&str, &str); 14] = [
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    // 3 instead of 50: the first use of an internal topic waits until all its partitions are
    // created.
    ("offsets.topic.num.partitions", "3"),
    ("transaction.state.log.num.partitions", "3"),
    ("share.coordinator.state.topic.num.partitions", "3"),
    ("num.partitions", "3"),
    // A misspelt topic is an error.
    ("auto.create.topics.enable", "false"),
    // The first member of a group gets its partitions without waiting for others.
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "6000"),
    // How soon the open transaction of a dead producer is aborted. Until then, read_committed
    // consumers are blocked on its partitions.
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "1000",
    ),
    // The default of 128 MiB is half of the initial heap.
    ("log.cleaner.dedupe.buffer.size", "16777216"),
];
