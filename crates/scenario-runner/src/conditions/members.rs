//! The members of a group.

use cluster_reader::Group;
use shared_events::Service;
use stack::terminal::counted;

use super::{Observation, at_most};

/// At most nine instances run, but other clients may be in the group too.
const MOST_MEMBERS: usize = 100;

/// The expected members of a service's group, after the last rebalance.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait members inventory-service --count 3 --within 15s\n  ./sandbox wait members inventory-service --count 4 --idle 1"
)]
pub struct MembersCondition {
    /// The service
    pub service: Service,

    /// The number of members; a killed member counts until its session ends
    #[arg(long, value_parser = at_most(MOST_MEMBERS))]
    pub count: usize,

    /// The number of members without a partition
    #[arg(long, value_parser = at_most(MOST_MEMBERS))]
    pub idle: Option<usize>,
}

impl MembersCondition {
    /// Whether the group is stable and has these members.
    pub fn check(&self, name: &str, group: &Group) -> Observation {
        let mut seen = format!(
            "{name} is {} with {}",
            group.state,
            counted(group.members.len(), "member")
        );
        for member in &group.members {
            let owns: Vec<String> = member.assignment.iter().map(ToString::to_string).collect();
            let owns = match owns.as_slice() {
                [] => "nothing".to_owned(),
                some => some.join(" "),
            };
            seen += &format!("; {}: {owns}", member.owner.client_id);
        }
        // A group that all members have left is "Empty" and not "Stable".
        let stable = group.state == "Stable" || (self.count == 0 && group.members.is_empty());
        let idle = group.members.iter();
        let idle = idle.filter(|member| member.assignment.is_empty()).count();
        let as_many = group.members.len() == self.count;
        Observation::judge(
            stable && as_many && self.idle.is_none_or(|wanted| wanted == idle),
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
        let two = MembersCondition {
            service: Service::Inventory,
            count: 2,
            idle: Some(0),
        };
        assert!(
            matches!(two.check("g", &group("Stable", 2)), Observation::Holds(seen) if seen.contains("payments[2]"))
        );
        assert!(matches!(
            two.check("g", &group("PreparingRebalance", 2)),
            Observation::Not(_)
        ));
        assert!(matches!(
            two.check("g", &group("Stable", 1)),
            Observation::Not(_)
        ));
        let one_idle = MembersCondition {
            idle: Some(1),
            ..two
        };
        assert!(matches!(
            one_idle.check("g", &group("Stable", 2)),
            Observation::Not(_)
        ));
        let nobody = MembersCondition {
            service: Service::Inventory,
            count: 0,
            idle: None,
        };

        assert!(matches!(
            nobody.check("g", &group("Empty", 0)),
            Observation::Holds(_)
        ));
    }
}
