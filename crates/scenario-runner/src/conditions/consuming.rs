//! The running instances of a service as members of its group.

use cluster_reader::{Group, PartitionLag};
use shared_events::Service;
use stack::status_rows::broker::OwnerRow;
use stack::terminal::counted;

use super::Observation;

/// Every running instance of a service consumes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ./sandbox wait consuming inventory-service --within 30s\n\nAn instance consumes if it is in its group, the group is not in a rebalance, and it owns partitions; or if it is idle, because the\ngroup has more members than partitions."
)]
pub struct ConsumingCondition {
    /// The service
    pub service: Service,
}

impl ConsumingCondition {
    /// Whether each instance is in the group, which has assigned every partition that exists. `owners` are the members of the
    /// group under the names of their instances.
    pub fn check(&self, instances: &[String], group: &Group, owners: &[OwnerRow]) -> Observation {
        let exists = |row: &&PartitionLag| row.log_offsets.is_some();
        let rows = || group.partitions.values().filter(exists);
        let unowned = rows().filter(|row| row.owner.is_none()).count();
        let partitions = most_of_one_topic(group);
        let may_idle = group.members.len() > partitions;
        let mut all = group.state == "Stable" && unowned == 0 && rows().count() > 0;
        let mut seen = Vec::new();
        for name in instances {
            let owner = owners.iter().find(|owner| owner.member == *name);
            let (consumes, what) = match owner.map(|owner| owner.partitions.as_slice()) {
                None => (false, "is not in the group".to_owned()),
                Some([]) if may_idle => (true, idle(group.members.len(), partitions)),
                Some([]) => (false, "owns no partition yet".to_owned()),
                Some(owned) => (true, format!("owns {}", owned.join(" "))),
            };
            all &= consumes;
            seen.push(format!("{name} {what}"));
        }
        if seen.is_empty() {
            seen.push(format!("no instance of {} runs", self.service));
        }
        if group.state != "Stable" {
            seen.push(format!("the group is {}", group.state));
        }
        Observation::judge(all && !instances.is_empty(), seen.join("; "))
    }
}

fn idle(members: usize, partitions: usize) -> String {
    let partitions = counted(partitions, "partition");
    format!("is idle: the group has {members} members and only {partitions} of each topic")
}

/// The number of partitions of the topic that has the most. Members beyond this number are idle.
fn most_of_one_topic(group: &Group) -> usize {
    let existing = group.partitions.iter();
    let existing = existing.filter(|(_, row)| row.log_offsets.is_some());
    let numbers = existing.map(|(at, _)| at.partition + 1);
    usize::try_from(numbers.max().unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_reader::{GroupMember, LogOffsets, Owner, Protocol, TopicPartition};

    use super::*;

    /// A group of `members` in which the first `owned` of three partitions have an owner.
    fn group(state: &str, members: usize, owned: i32) -> Group {
        let owner = Owner {
            member_id: String::new(),
            client_id: "inventory-service-1".to_owned(),
            host: String::new(),
        };
        let member = GroupMember {
            owner: owner.clone(),
            instance_id: None,
            assignment: Vec::new(),
        };
        let row = |partition: i32| {
            let at = TopicPartition {
                topic: "payments".to_owned(),
                partition,
            };
            let row = PartitionLag {
                committed: Some(0),
                log_offsets: Some(LogOffsets {
                    log_start: 0,
                    last_stable: 0,
                    high_watermark: 0,
                }),
                owner: (partition < owned).then(|| owner.clone()),
                lag: Ok(cluster_reader::Lag::default()),
            };
            (at, row)
        };
        Group {
            state: state.to_owned(),
            protocol: Protocol::Classic,
            members: vec![member; members],
            partitions: (0..3).map(row).collect::<BTreeMap<_, _>>(),
        }
    }

    fn owner(slot: usize, partitions: &[&str]) -> OwnerRow {
        OwnerRow {
            member: format!("inventory-service.{slot}"),
            partitions: partitions.iter().map(|&one| one.to_owned()).collect(),
        }
    }

    fn check(group: &Group, owners: &[OwnerRow]) -> Observation {
        let condition = ConsumingCondition {
            service: Service::Inventory,
        };
        let names: Vec<String> = (1..=2)
            .map(|slot| format!("inventory-service.{slot}"))
            .collect();
        condition.check(&names, group, owners)
    }

    #[test]
    fn an_instance_consumes_when_it_owns_partitions_of_a_stable_group() {
        let both = [
            owner(1, &["payments[0]", "payments[1]"]),
            owner(2, &["payments[2]"]),
        ];
        let seen = check(&group("Stable", 2, 3), &both);
        assert_eq!(
            seen,
            Observation::Holds(
                "inventory-service.1 owns payments[0] payments[1]; inventory-service.2 owns payments[2]".to_owned()
            )
        );
        let alone = [owner(1, &["payments[0]", "payments[1]", "payments[2]"])];
        let without_partition = [owner(1, &["payments[0]"]), owner(2, &[])];
        for (group, owners) in [
            (group("PreparingRebalance", 2, 3), &both[..]),
            (group("Stable", 1, 3), &alone),
            (group("Stable", 2, 1), &without_partition),
            (group("Stable", 2, 2), &both),
        ] {
            assert!(matches!(check(&group, owners), Observation::Not(_)));
        }
        let gone = Group {
            partitions: BTreeMap::new(),
            ..group("Stable", 2, 0)
        };
        assert!(matches!(
            check(&gone, &without_partition),
            Observation::Not(_)
        ));
    }

    #[test]
    fn a_member_beyond_the_number_of_partitions_is_idle() {
        let owners = [owner(1, &["payments[0]"]), owner(2, &[])];
        let Observation::Holds(seen) = check(&group("Stable", 4, 3), &owners) else {
            panic!("an idle member is not seen as such");
        };
        assert!(
            seen.contains(
                "inventory-service.2 is idle: the group has 4 members and only 3 partitions"
            ),
            "{seen}"
        );
    }
}
