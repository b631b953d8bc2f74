//! The configuration of a Kafka node. Local processes get it as a properties file, containers of
//! tests as environment variables.

use std::net::SocketAddr;

/// The name of the only broker's process in a state directory.
pub const KAFKA: &str = "kafka";

/// A node of a cluster of one or three: broker and controller in one process.
///
/// All three nodes of a cluster are controllers, because then it survives the end of any one of
/// them: two of three controllers are a majority, and two of three replicas are
/// `min.insync.replicas`. A single controller beside three brokers would be a process whose end
/// stops every election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// `node.id`, counted from 1.
    pub id: u16,
    /// The number of nodes of the cluster.
    pub of: u16,
}

impl Node {
    /// The node of a cluster of one.
    pub const ONLY: Self = Self { id: 1, of: 1 };

    /// The nodes of a cluster of this size, by id.
    #[must_use]
    pub fn all(of: u16) -> Vec<Self> {
        (1..=of).map(|id| Self { id, of }).collect()
    }

    /// The name of its process: `kafka.2`; `kafka` for the only one.
    #[must_use]
    pub fn name(self) -> String {
        match self.of {
            1 => KAFKA.to_owned(),
            _ => format!("{KAFKA}.{}", self.id),
        }
    }

    /// True for the name of a broker's process: `kafka`, or `kafka.2`.
    #[must_use]
    pub fn is_name(process: &str) -> bool {
        let nodes = [Self::ONLY].into_iter().chain(Self::all(3));
        nodes.into_iter().any(|node| node.name() == process)
    }

    /// The heap options of its JVM. Three nodes together take at most 1.3 GB more than one.
    #[must_use]
    pub fn heap(self) -> [&'static str; 2] {
        match self.of {
            1 => ["-Xms256m", "-Xmx512m"],
            _ => ["-Xms192m", "-Xmx384m"],
        }
    }
}

/// Any 16 bytes in URL-safe Base64. All sandboxes share it, because no two of them are connected.
pub const CLUSTER_ID: &str = "c2FnYS1zYW5kYm94LTAwMQ";

/// The part of the configuration that differs between nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeConfig<'a> {
    /// The node.
    pub node: Node,
    /// The address and port of the listener for clients.
    pub listen: SocketAddr,
    /// `host:port` that clients connect to. The node connects to it too, to write transaction
    /// markers.
    pub bootstrap: &'a str,
    /// The ports of all controllers, on 127.0.0.1, by the ids of their nodes.
    pub controllers: &'a [u16],
    /// The data folder (`log.dirs`). Kafka takes a comma for the end of its name, and reads the
    /// properties file in ISO 8859-1.
    pub data: &'a str,
}

/// Names and values as Kafka's documentation lists them.
pub fn server_properties(config: NodeConfig<'_>) -> impl Iterator<Item = (&'static str, String)> {
    let NodeConfig {
        node,
        listen,
        bootstrap,
        controllers,
        data,
    } = config;
    let ports = || (1_u16..).zip(controllers);
    let voters: Vec<String> = ports()
        .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
        .collect();
    let controller = ports().find(|(id, _)| *id == node.id);
    let controller = controller.map_or(0, |(_, port)| *port);
    let own = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", node.id.to_string()),
        ("controller.quorum.voters", voters.join(",")),
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
    let common = replication(node.of).into_iter().chain(COMMON);
    own.into_iter()
        .chain(common.map(|(name, value)| (name, value.to_owned())))
}

/// A single broker holds one replica of a partition, so a higher replication factor would never be
/// reached. Of three replicas two must have a record before `acks=all` is acknowledged.
fn replication(nodes: u16) -> [(&'static str, &'static str); 7] {
    let (factor, in_sync) = match nodes {
        1 => ("1", "1"),
        _ => ("3", "2"),
    };
    [
        ("default.replication.factor", factor),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", factor),
        ("transaction.state.log.replication.factor", factor),
        ("transaction.state.log.min.isr", in_sync),
        ("share.coordinator.state.topic.replication.factor", factor),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ]
}

/// The part of the configuration that all nodes share.
const COMMON: [(&str, &str); 14] = [
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
    // The protocol `consumer` (KIP-848): session and heartbeat are the broker's, here as those of the
    // services' classic members.
    ("group.consumer.min.session.timeout.ms", "6000"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.min.heartbeat.interval.ms", "1000"),
    ("group.consumer.heartbeat.interval.ms", "1000"),
    // How soon the open transaction of a dead producer is aborted. Until then, read_committed
    // consumers are blocked on its partitions.
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "1000",
    ),
    // The default of 128 MiB is half of the initial heap.
    ("log.cleaner.dedupe.buffer.size", "16777216"),
    // How often the broker deletes what is older than the retention. With the default of five
    // minutes a retention of seconds would be one of minutes.
    ("log.retention.check.interval.ms", "10000"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_three_nodes_names_all_controllers_and_asks_for_three_replicas() {
        let config = NodeConfig {
            node: Node { id: 2, of: 3 },
            listen: SocketAddr::from(([127, 0, 0, 1], 9093)),
            bootstrap: "127.0.0.1:9093",
            controllers: &[21, 22, 23],
            data: "data/kafka.2",
        };
        let properties: std::collections::HashMap<_, _> = server_properties(config).collect();
        for (name, value) in [
            ("node.id", "2"),
            (
                "controller.quorum.voters",
                "1@127.0.0.1:21,2@127.0.0.1:22,3@127.0.0.1:23",
            ),
            (
                "listeners",
                "CLIENTS://127.0.0.1:9093,CONTROLLER://127.0.0.1:22",
            ),
            ("default.replication.factor", "3"),
            ("min.insync.replicas", "2"),
            ("transaction.state.log.min.isr", "2"),
        ] {
            assert_eq!(properties[name], value, "{name}");
        }
    }
}
