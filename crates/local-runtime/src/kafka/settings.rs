//! What a single node is told, wherever it runs: as lines of a file here, as variables of a container in tests.

use std::net::SocketAddr;
use std::path::Path;

/// Any 16 bytes in URL-safe Base64 will do; it is the same for every sandbox, since no two ever speak to each other.
pub const CLUSTER_ID: &str = "c2FnYS1zYW5kYm94LTAwMQ";
/// The JVM's options for the heap.
pub const HEAP: [&str; 2] = ["-Xms256m", "-Xmx512m"];

/// Where a node listens and keeps its data.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Clients are listened to here.
    pub listen: SocketAddr,
    /// `host:port` that clients connect to. The node itself connects to it, too: with the markers of transactions.
    pub bootstrap: &'a str,
    /// The controller's port, on 127.0.0.1.
    pub controller: u16,
    /// The data folder.
    pub data: &'a Path,
}

/// The settings of a node, by their names in Kafka's documentation.
pub fn settings(place: Place<'_>) -> impl Iterator<Item = (&'static str, String)> {
    let Place {
        listen,
        bootstrap,
        controller,
        data,
    } = place;
    let here = [
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
        ("log.dirs", data.display().to_string()),
    ];
    let everywhere = EVERYWHERE.map(|(name, value)| (name, value.to_owned()));
    here.into_iter().chain(everywhere)
}

/// What does not depend on the place. A single broker can hold one replica of a partition, so everything that asks for more would
/// wait for ever.
const EVERYWHERE: [(&str, &str); 14] = [
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    // 3 instead of 50: they are made at the first use, and that use waits for them.
    ("offsets.topic.num.partitions", "3"),
    ("transaction.state.log.num.partitions", "3"),
    ("share.coordinator.state.topic.num.partitions", "3"),
    ("num.partitions", "3"),
    // A misspelt topic is an error, not a new topic.
    ("auto.create.topics.enable", "false"),
    // The first member of a group need not wait for others.
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "6000"),
    // How soon a dead producer's open transaction is aborted, and its partitions move on for read_committed readers.
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "1000",
    ),
    // 128 MiB by default, which is half of the heap.
    ("log.cleaner.dedupe.buffer.size", "16777216"),
];
