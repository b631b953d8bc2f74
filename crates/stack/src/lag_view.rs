//! How far groups are behind: one meaning of it for `status`, `wait`, `expect` and `lag`.

pub mod table;
pub mod trend;
pub mod view;

use std::time::Duration;

use anyhow::Result;
use cluster_reader::{ClusterReader, Group, ReadError, ReaderSettings, Snapshot};
use kafka_runtime::KafkaSettings;
use kafka_admin::ClusterError;
use shared_events::{NamePrefix, Service};
use tokio::time::{Instant, sleep};

/// How long one call to the broker may take.
const CALL: Duration = Duration::from_secs(5);

/// Between two tries.
const TURN: Duration = Duration::from_millis(100);

/// A reader of the stack's cluster that knows the shop's groups, also while a broker that has just started does not list them.
pub fn reader(kafka: &KafkaSettings) -> ClusterReader {
    let mut reader = ClusterReader::new(ReaderSettings {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        client_id: "sandbox".to_owned(),
        timeout: CALL,
    });
    for service in Service::ALL {
        reader.remember(&kafka.name_prefix.group(service));
    }
    reader
}

/// One reading. A broker that has just started cannot tell of everything at once: it gets some seconds.
pub async fn read(reader: &mut ClusterReader) -> Result<Snapshot> {
    let deadline = Instant::now() + CALL;
    loop {
        match reader.poll().await {
            Err(ReadError::Incomplete { .. }) if Instant::now() < deadline => sleep(TURN).await,
            Err(ReadError::Unreachable { broker, .. }) => {
                return Err(ClusterError::Unreachable { address: broker }.into());
            }
            told => return Ok(told?),
        }
    }
}

/// A service's group: with a row for each partition that the service reads, whether anybody owns it just now or not.
pub fn of_shop(snapshot: &Snapshot, prefix: &NamePrefix, service: Service) -> Group {
    let topics = service.consumes().iter();
    let topics: Vec<String> = topics.map(|topic| prefix.topic(*topic)).collect();
    snapshot.group_on_topics(&prefix.group(service), &topics)
}

/// The shop's service whose group is meant, by its plain name or by its name on the broker.
pub fn service_of(group: &str, prefix: &NamePrefix) -> Option<Service> {
    let mut all = Service::ALL.into_iter();
    all.find(|service| service.group() == group || prefix.group(*service) == group)
}

/// The name on the broker of a group as typed: the stack's prefix stands before the shop's own groups, and before no other.
pub fn on_broker(group: &str, prefix: &NamePrefix) -> String {
    let of_shop = service_of(group, prefix);
    of_shop.map_or_else(|| group.to_owned(), |service| prefix.group(service))
}

/// There is no such group; which there are.
pub fn unknown_group(group: &str, snapshot: &Snapshot) -> anyhow::Error {
    let known: Vec<&str> = snapshot.groups.keys().map(String::as_str).collect();
    match known.is_empty() {
        true => anyhow::anyhow!("no group {group}: there is none at all"),
        false => anyhow::anyhow!("no group {group}: there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shops_own_groups_get_the_prefix() {
        let prefix: NamePrefix = "second.".parse().unwrap();
        for typed in ["payment-service-group", "second.payment-service-group"] {
            assert_eq!(on_broker(typed, &prefix), "second.payment-service-group");
            assert_eq!(service_of(typed, &prefix), Some(Service::Payment));
        }
        assert_eq!(on_broker("somebody-else", &prefix), "somebody-else");
        assert_eq!(service_of("somebody-else", &prefix), None);
    }
}
