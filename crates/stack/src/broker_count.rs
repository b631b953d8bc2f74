//! How many brokers a stack has, one or three, and where they answer.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use local_runtime::kafka::Node;

use crate::layout::StackLayout;
use crate::terminal::Usage;

impl StackLayout {
    /// The same stack with this many brokers, 1 or 3.
    ///
    /// # Errors
    /// If the stack has data of another number of brokers: topics keep their replicas, and a cluster its controllers.
    pub fn with_brokers(&self, count: u16) -> Result<Self> {
        if let Some(stored) = self.stored_brokers().filter(|stored| *stored != count) {
            bail!(
                "the data of this stack is that of {}, not of {}: ./sandbox down --reset deletes it",
                brokers_in_words(stored),
                brokers_in_words(count)
            );
        }
        let last = u32::from(self.settings().ports.kafka_port) + u32::from(count) - 1;
        if last > u32::from(u16::MAX) {
            return Err(Usage::error(format_args!(
                "KAFKA_PORT {}: must be at most {}, since {} listen on consecutive ports",
                self.settings().ports.kafka_port,
                u16::MAX - count + 1,
                brokers_in_words(count)
            )));
        }
        let mut stack = self.clone();
        stack.brokers = Some(count);
        Ok(stack)
    }

    /// The brokers of this stack, by id. Without [`StackLayout::with_brokers`] its data says how many there are; one if there is
    /// no data.
    pub fn brokers(&self) -> Vec<Node> {
        Node::all(self.brokers.or_else(|| self.stored_brokers()).unwrap_or(1))
    }

    /// The number of brokers that have data; `None` if there is no data.
    fn stored_brokers(&self) -> Option<u16> {
        let data = self.home().join("data");
        [1, 3].into_iter().find(|of| {
            let mut nodes = Node::all(*of).into_iter();
            nodes.any(|node| data.join(node.name()).is_dir())
        })
    }

    /// `host:port` of one broker, for clients on this host.
    pub fn broker_address(&self, node: Node) -> String {
        let port = self.settings().ports.of_kafka(node).port;
        SocketAddr::new(self.host(), port).to_string()
    }
}

fn brokers_in_words(count: u16) -> String {
    match count {
        1 => "one broker".to_owned(),
        _ => format!("{count} brokers"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::layout::StackSettings;

    /// The layout of a stack in this folder, with this port of its first broker.
    fn layout(home: &std::path::Path, port: &str) -> StackLayout {
        let command = StackSettings::augment_args(Command::new("test"));
        let command = command.mut_args(|arg| arg.env(None::<&str>));
        let home = home.to_str().unwrap();
        let line = ["test", "--home", home, "--kafka-port", port];
        let matches = command.get_matches_from(line);
        StackLayout::new(StackSettings::from_arg_matches(&matches).unwrap()).unwrap()
    }

    #[test]
    fn data_of_three_brokers_makes_a_stack_of_three_and_refuses_one() {
        let home = tempfile::tempdir().unwrap();
        let stack = layout(home.path(), "9092");
        assert_eq!(stack.brokers(), [Node::ONLY]);
        let three = stack.with_brokers(3).unwrap();
        assert_eq!(
            three.kafka().bootstrap_servers,
            "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094"
        );
        // Of an interrupted start, too.
        fs::create_dir_all(home.path().join("data/kafka.2")).unwrap();
        assert_eq!(stack.brokers(), Node::all(3));
        let refused = stack.with_brokers(1).unwrap_err().to_string();
        assert!(refused.contains("./sandbox down --reset"), "{refused}");
        assert!(stack.with_brokers(3).is_ok());
    }

    #[test]
    fn data_of_one_broker_refuses_three() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("data/kafka")).unwrap();
        let refused = layout(home.path(), "9092").with_brokers(3);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("./sandbox down --reset"), "{refused}");
    }

    #[test]
    fn three_consecutive_ports_must_exist() {
        let home = tempfile::tempdir().unwrap();
        let last = layout(home.path(), "65534");
        assert!(last.with_brokers(1).is_ok());
        assert!(last.with_brokers(3).unwrap_err().is::<Usage>());
    }
}
