//! Who is in a group.

use cluster_reader::Group;
use shared_events::Service;

use super::{Seen, at_most};

/// Nine instances run at most; strangers may be in the group besides.
const MOST_MEMBERS: usize = 100;

/// A service's group with so many members, after the last rebalance.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait members inventory-service --count 3 --within 15s\n  ./sandbox wait members inventory-service --count 4 --idle 1"
)]
pub struct MembersAre {
    /// The service whose group is meant
    pub service: Service,

    /// Its members; a member that was killed counts until its session ends
    #[arg(long, value_parser = at_most(MOST_MEMBERS))]
    pub count: usize,

    /// How many of them own no partition
    #[arg(long, value_parser = at_most(MOST_MEMBERS))]
    pub idle: Option<usize>,
}

impl MembersAre {
    /// Whether the group is stable and has so many members.
    pub fn check(&self, name: &str, group: &Group) -> Seen {
        let mut seen = format!(
            "{name} is {} with {} members",
            group.state,
            group.members.len()
        );
        for member in &group.members {
            let owns: Vec<String> = member.assignment.iter().map(ToString::to_string).collect();
            let owns = match owns.as_slice() {
                [] => "nothing".to_owned(),
                some => some.join(" "),
            };
            seen += &format!("; {}: {owns}", member.owner.client_id);
        }
        // A group that everybody left is not "stable", but it is at rest.
        let settled = group.state == "Stable" || (self.count == 0 && group.members.is_empty());
        let idle = group.members.iter();
        let idle = idle.filter(|member| member.assignment.is_empty()).count();
        let as_many = group.members.len() == self.count;
        Seen::judge(
            settled && as_many && self.idle.is_none_or(|wanted| wanted == idle),
            seen,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster_reader::{GroupMember, Owner, Protocol, TopicPartition};

    use super::*;

    fn group(state: &str, members: usize) -> Group {
        let member = GroupMember {
            owner: Owner {
                member_id: String::new(),
                client_id: "inventory-service-1".to_owned(),
                host: String::new(),
            },
            instance_id: None,
            assignment: vec![TopicPartition {
                topic: "payments".to_owned(),
                partition: 2,
            }],
        };
        Group {
            state: state.to_owned(),
            protocol: Protocol::Classic,
            members: vec![member; members],
            partitions: BTreeMap::new(),
        }
    }

    #[test]
    fn a_group_in_the_middle_of_a_rebalance_does_not_count() {
        let two = MembersAre {
            service: Service::Inventory,
            count: 2,
            idle: Some(0),
        };
        assert!(
            matches!(two.check("g", &group("Stable", 2)), Seen::Holds(seen) if seen.contains("payments[2]"))
        );
        assert!(matches!(
            two.check("g", &group("PreparingRebalance", 2)),
            Seen::Not(_)
        ));
        assert!(matches!(two.check("g", &group("Stable", 1)), Seen::Not(_)));
        let one_idle = MembersAre {
            idle: Some(1),
            ..two
        };
        assert!(matches!(
            one_idle.check("g", &group("Stable", 2)),
            Seen::Not(_)
        ));
        let nobody = MembersAre {
            service: Service::Inventory,
            count: 0,
            idle: None,
        };

        assert!(matches!(
            nobody.check("g", &group("Empty", 0)),
            Seen::Holds(_)
        ));
    }
}
