//! How far groups are behind.

use messaging::cluster::lag::GroupLag;
use shared_events::Service;

use super::Seen;

/// Groups that are so far behind.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait lag --group inventory-service-group --above 1000 --within 60s\n  ./sandbox wait lag --at-rest\n\nLag is high watermark minus committed offset, summed over the group's partitions. A partition for which the group has committed nothing has an unknown lag: it is left out of --above, and keeps --below and --at-rest from holding."
)]
#[command(group(clap::ArgGroup::new("bound").required(true).args(["above", "below", "at_rest"])))]
pub struct LagIs {
    /// Only this group, without the stack's prefix; otherwise each of the shop's groups
    #[arg(long, value_parser = group)]
    pub group: Option<Service>,

    /// More records than this
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(i64).range(0..))]
    pub above: Option<i64>,

    /// Fewer records than this
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(i64).range(1..))]
    pub below: Option<i64>,

    /// Nothing left to read
    #[arg(long)]
    pub at_rest: bool,
}

fn group(name: &str) -> Result<Service, String> {
    let known = Service::ALL
        .into_iter()
        .find(|service| service.group() == name);
    known.ok_or_else(|| format!("must be {}", Service::ALL.map(Service::group).join(", ")))
}

impl LagIs {
    /// The services whose groups are meant.
    pub fn services(&self) -> Vec<Service> {
        self.group
            .map_or_else(|| Service::ALL.to_vec(), |one| vec![one])
    }

    /// Whether each of the groups is so far behind.
    pub fn check(&self, groups: &[GroupLag]) -> Seen {
        let holds = |lag: &GroupLag| match (self.above, self.below) {
            (Some(above), _) => lag.known() > above,
            (None, Some(below)) => lag.at_most(below - 1),
            (None, None) => lag.is_at_rest(),
        };
        let seen: Vec<String> = groups.iter().map(ToString::to_string).collect();
        Seen::judge(groups.iter().all(holds), seen.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use messaging::cluster::lag::PartitionLag;

    use super::*;

    fn lag(committed: Option<i64>) -> GroupLag {
        GroupLag {
            group: "g".to_owned(),
            partitions: vec![PartitionLag {
                topic: "payments".to_owned(),
                partition: 0,
                committed,
                low_watermark: 0,
                high_watermark: 10,
            }],
        }
    }

    fn holds(above: Option<i64>, below: Option<i64>, committed: Option<i64>) -> bool {
        let at_rest = above.is_none() && below.is_none();
        let wanted = LagIs {
            group: None,
            above,
            below,
            at_rest,
        };
        matches!(
            wanted.check(&[lag(Some(10)), lag(committed)]),
            Seen::Holds(_)
        ) || matches!(wanted.check(&[lag(committed)]), Seen::Holds(_))
    }

    #[test]
    fn bounds_are_strict_and_an_unknown_lag_is_never_small() {
        assert!(holds(Some(6), None, Some(3)) && !holds(Some(7), None, Some(3)));
        assert!(holds(None, Some(8), Some(3)) && !holds(None, Some(7), Some(3)));
        assert!(holds(None, None, Some(10)) && !holds(None, None, Some(9)));
        assert!(
            !holds(None, Some(100), None)
                && !holds(None, None, None)
                && !holds(Some(0), None, None)
        );
    }

    #[test]
    fn each_group_has_to_be_so() {
        let wanted = LagIs {
            group: None,
            above: None,
            below: None,
            at_rest: true,
        };
        assert!(matches!(
            wanted.check(&[lag(Some(10)), lag(Some(9))]),
            Seen::Not(_)
        ));
    }

    #[test]
    fn one_bound_has_to_be_given_and_any_group_may_be() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            lag: LagIs,
        }
        let parse =
            |line: &str| Command::try_parse_from(line.split(' ')).map(|command| command.lag);
        let group = "--group inventory-service-group";
        assert!(parse(&format!("lag {group} --at-rest")).unwrap().at_rest);
        assert_eq!(
            parse(&format!("lag --above 5 {group}")).unwrap().above,
            Some(5)
        );
        for bad in [
            "lag",
            &format!("lag {group}"),
            "lag --above 5 --below 9",
            "lag --below 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_group_is_named_as_kafka_names_it() {
        assert_eq!(group("inventory-service-group"), Ok(Service::Inventory));
        assert!(group("inventory-service").is_err());
    }
}
