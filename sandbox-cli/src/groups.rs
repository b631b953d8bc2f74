//! Consumer groups by name, as a person types them, and the one reader that says how far behind they are.

use std::time::Duration;

use cluster_reader::{ClusterReader, ReaderSettings};
use shared_events::{NamePrefix, Service};

use crate::sandbox::Sandbox;

/// How long one call to a broker may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the cluster of this stack.
pub fn reader(sandbox: &Sandbox) -> ClusterReader {
    ClusterReader::new(ReaderSettings {
        bootstrap_servers: sandbox.kafka().bootstrap_servers,
        client_id: "sandbox".to_owned(),
        timeout: PATIENCE,
    })
}

/// The name on the broker: the shop's own groups get this stack's prefix, all others are as typed.
pub fn full_name(typed: &str, prefix: &NamePrefix) -> String {
    let own = Service::ALL.into_iter().find(|one| one.group() == typed);
    own.map_or_else(|| typed.to_owned(), |service| prefix.group(service))
}

/// That there is no such group, and which there are.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match known.as_slice() {
        [] => format!("there is no group {name}, nor any other"),
        some => format!("there is no group {name}; there are {}", some.join(", ")),
    }
}
