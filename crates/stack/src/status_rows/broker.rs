//! The topics and groups of the shop on the broker.

use cluster_reader::{Group, GroupMember, Owner, Replicas, Snapshot};
use serde::Serialize;
use shared_events::{NamePrefix, Service, Topic};

use crate::lag_view;
use crate::layout::Instance;
use crate::process_name;
use crate::workload::Workload;

/// The topics and groups of the shop on the broker.
#[derive(Debug, Clone, Serialize)]
pub struct BrokerStatus {
    /// The topics of the shop.
    pub topics: Vec<TopicRow>,
    /// The groups of the services.
    pub groups: Vec<GroupRow>,
}

/// One topic.
#[derive(Debug, Clone, Serialize)]
pub struct TopicRow {
    /// The name on the broker.
    pub name: String,
    /// The log start of each partition: the offset of the oldest record that was not deleted. Empty if the topic does not
    /// exist.
    pub starts: Vec<i64>,
    /// The high watermark of each partition; empty if the topic does not exist.
    pub ends: Vec<i64>,
    /// The broker that leads each partition.
    pub leaders: Vec<i32>,
    /// The brokers whose replica of each partition is in sync.
    pub in_sync: Vec<Vec<i32>>,
    /// The highest number of replicas of a partition.
    pub replicas: usize,
}

/// One group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    /// The name on the broker.
    pub name: String,
    /// Kafka's name of the group's state.
    pub state: String,
    /// The number of members.
    pub members: usize,
    /// The partitions that each member owns.
    pub owners: Vec<OwnerRow>,
    /// The lag: records that a `read_committed` consumer would still get, summed over the partitions where it is known.
    /// Null while only bounds of it are known, and for a group without partitions.
    pub lag: Option<i64>,
    /// The sum, then the lag of each partition: `-` where it is not known.
    pub lag_text: String,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnerRow {
    /// `inventory-service.2`; client id and host of a member that is no known instance.
    pub member: String,
    /// The partitions that it owns, as `payments[0]`.
    pub partitions: Vec<String>,
}

/// Selects the shop's topics and groups from a snapshot of the cluster. The members are named after the running instances.
pub fn broker_status(
    snapshot: &Snapshot,
    prefix: &NamePrefix,
    instances: &[Instance],
) -> BrokerStatus {
    BrokerStatus {
        topics: Topic::ALL
            .map(|topic| topic_row(snapshot, prefix.topic(topic)))
            .into(),
        groups: Service::ALL
            .map(|service| group_row(snapshot, prefix, service, instances))
            .into(),
    }
}

fn topic_row(snapshot: &Snapshot, name: String) -> TopicRow {
    let offsets = snapshot.topics.get(&name).into_iter().flatten();
    let (starts, ends) = offsets
        .map(|(_, offsets)| (offsets.log_start, offsets.high_watermark))
        .unzip();
    let replicas = snapshot.replicas.iter();
    let replicas: Vec<&Replicas> = replicas
        .filter(|(at, _)| at.topic == name)
        .map(|(_, replicas)| replicas)
        .collect();
    TopicRow {
        name,
        starts,
        ends,
        leaders: replicas.iter().map(|one| one.leader).collect(),
        in_sync: replicas.iter().map(|one| one.in_sync.clone()).collect(),
        replicas: replicas.iter().map(|one| one.all.len()).max().unwrap_or(0),
    }
}

fn group_row(
    snapshot: &Snapshot,
    prefix: &NamePrefix,
    service: Service,
    instances: &[Instance],
) -> GroupRow {
    let group = lag_view::service_group(snapshot, prefix, service);
    GroupRow {
        name: prefix.group(service),
        members: group.members.len(),
        owners: owner_rows(&group, service, instances),
        lag: group
            .known_lag()
            .exact()
            .filter(|_| !group.partitions.is_empty()),
        lag_text: lag_text(&group),
        state: group.state,
    }
}

/// The members of a service's group, named after the running instances, in order of their names.
pub fn owner_rows(group: &Group, service: Service, instances: &[Instance]) -> Vec<OwnerRow> {
    let row = |member: &GroupMember| OwnerRow {
        member: member_name(&member.owner, service, instances),
        partitions: member.assignment.iter().map(ToString::to_string).collect(),
    };
    let mut owners: Vec<OwnerRow> = group.members.iter().map(row).collect();
    owners.sort_by(|one, other| one.member.cmp(&other.member));
    owners
}

/// The instance whose client id or, in containers, whose address the broker shows; else both as they are.
fn member_name(owner: &Owner, service: Service, instances: &[Instance]) -> String {
    let host = owner.host.trim_start_matches('/');
    let is_this = |one: &&Instance| {
        let slot = format!("{service}-{}", one.slot);
        let at_host = one.url.contains(&format!("//{host}:"));
        owner.client_id == slot || (owner.client_id == service.name() && at_host)
    };
    let mut of_service = instances
        .iter()
        .filter(|one| one.workload == Workload::Service(service));
    of_service.find(is_this).map_or_else(
        || format!("{}@{host}", owner.client_id),
        |one| process_name(one.workload, one.slot),
    )
}

fn lag_text(group: &Group) -> String {
    let each = group.partitions.values().map(|row| match row.lag {
        Ok(lag) => lag.readable.to_string(),
        Err(_) => "-".to_owned(),
    });
    let each: Vec<String> = each.collect();
    if each.iter().all(|one| one == "-") {
        return "-".to_owned();
    }
    format!("{} ({})", group.known_lag(), each.join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_reader::Protocol;

    use super::*;

    #[test]
    fn a_group_whose_topics_are_gone_has_no_lag() {
        let group = Group {
            state: "Empty".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: BTreeMap::new(),
        };
        assert_eq!(lag_text(&group), "-");
    }

    #[test]
    fn a_member_has_the_name_of_its_instance() {
        let instance = |slot, url: &str| Instance {
            workload: Workload::Service(Service::Inventory),
            slot,
            url: url.to_owned(),
        };
        let instances = [
            instance(1, "http://127.0.0.1:8001"),
            instance(2, "http://172.18.0.5:8001"),
        ];
        let named = |client_id: &str, host: &str| {
            let owner = Owner {
                member_id: String::new(),
                client_id: client_id.to_owned(),
                host: host.to_owned(),
            };
            member_name(&owner, Service::Inventory, &instances)
        };
        assert_eq!(
            named("inventory-service-1", "/127.0.0.1"),
            "inventory-service.1"
        );
        assert_eq!(
            named("inventory-service", "/172.18.0.5"),
            "inventory-service.2"
        );
        for (client_id, host) in [
            ("inventory-service", "/172.18.0.50"),
            ("inventory-service-10", "/127.0.0.1"),
            ("console-consumer", "/127.0.0.1"),
        ] {
            let shown = format!("{client_id}@{}", host.trim_start_matches('/'));
            assert_eq!(named(client_id, host), shown);
        }
    }
}
