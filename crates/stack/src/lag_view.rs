//! The lag of groups, read from the cluster for `status`, `wait`, `expect` and `lag`: [`lag_rows`] are the values that `lag`
//! prints, [`monitor_reading`] what lag-monitor adds to them, [`lag_table`] their layout, [`sparkline`] the line of past
//! values, [`open_transactions`] what no lag counts.

pub mod lag_rows;
pub mod lag_table;
pub mod monitor_reading;
pub mod open_transactions;
pub mod sparkline;
#[cfg(test)]
mod test_views;

use std::time::Duration;

use anyhow::Result;
use cluster_reader::{ClusterReader, Group, LagCount, ReadError, ReaderSettings, Snapshot};
use kafka_admin::ClusterError;
use kafka_admin::KafkaSettings;
use shared_events::{NamePrefix, Service};
use tokio::time::{Instant, sleep};

/// The time limit of one request to the broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a backlog is counted.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two tries.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A reader of the stack's cluster. It knows the shop's groups, since a broker that has just started does not list them yet.
pub fn reader(kafka: &KafkaSettings) -> ClusterReader {
    let mut reader = ClusterReader::new(ReaderSettings {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        client_id: "sandbox".to_owned(),
        timeout: REQUEST_TIMEOUT,
    });
    for service in Service::ALL {
        reader.remember(&kafka.name_prefix.group(service));
    }
    reader
}

/// Reads one snapshot. A broker that has just started returns incomplete answers; the read is repeated for up to 5 s.
pub async fn read(reader: &mut ClusterReader) -> Result<Snapshot> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        match reader.poll().await {
            Err(ReadError::Incomplete { .. }) if Instant::now() < deadline => {
                sleep(POLL_INTERVAL).await
            }
            Err(ReadError::Unreachable { broker, .. }) => {
                return Err(ClusterError::Unreachable { address: broker }.into());
            }
            result => return Ok(result?),
        }
    }
}

/// Reads snapshots until the lag of each group, or of this one, is exact, and returns the last one. A reading scans a limited
/// part of the log, so a large backlog takes several. After 5 s, or when a reading has brought nothing, the lags that are not
/// exact have bounds.
pub async fn read_counted(reader: &mut ClusterReader, group: Option<&str>) -> Result<Snapshot> {
    let deadline = Instant::now() + COUNT_TIMEOUT;
    let mut uncertain_before = i64::MAX;
    loop {
        let snapshot = read(reader).await?;
        let groups = snapshot.groups.iter();
        let wanted = groups.filter(|(name, _)| group.is_none_or(|group| group == *name));
        let lag: LagCount = wanted.map(|(_, found)| found.known_lag()).sum();
        let uncertain = lag.upper() - lag.lower();
        if uncertain == 0 || uncertain >= uncertain_before || Instant::now() >= deadline {
            return Ok(snapshot);
        }
        uncertain_before = uncertain;
    }
}

/// The group of a service, with a row for each partition that the service reads, whether or not a member owns it.
pub fn service_group(snapshot: &Snapshot, prefix: &NamePrefix, service: Service) -> Group {
    let topics = service.consumes().iter();
    let topics: Vec<String> = topics.map(|topic| prefix.topic(*topic)).collect();
    snapshot.group_on_topics(&prefix.group(service), &topics)
}

/// The service of this group. The name may be typed with or without the stack's prefix.
pub fn service_of_group(group: &str, prefix: &NamePrefix) -> Option<Service> {
    let mut all = Service::ALL.into_iter();
    all.find(|service| service.group() == group || prefix.group(*service) == group)
}

/// The name on the broker of a group as typed. Only the shop's own groups get the stack's prefix.
pub fn prefixed_group(group: &str, prefix: &NamePrefix) -> String {
    let service = service_of_group(group, prefix);
    service.map_or_else(|| group.to_owned(), |service| prefix.group(service))
}

/// An error that lists the groups that exist.
pub fn unknown_group(group: &str, snapshot: &Snapshot) -> anyhow::Error {
    let known: Vec<&str> = snapshot.groups.keys().map(String::as_str).collect();
    match known.is_empty() {
        true => anyhow::anyhow!("no group {group}: there are no groups"),
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
            assert_eq!(
                prefixed_group(typed, &prefix),
                "second.payment-service-group"
            );
            assert_eq!(service_of_group(typed, &prefix), Some(Service::Payment));
        }
        assert_eq!(prefixed_group("other-group", &prefix), "other-group");
        assert_eq!(service_of_group("other-group", &prefix), None);
    }
}
