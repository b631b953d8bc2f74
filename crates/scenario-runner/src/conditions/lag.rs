//! The lag of groups.

use cluster_reader::Group;
use service_kit::settings::whole_number;

use super::Observation;

/// The expected lag of one group or of all.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait lag --group inventory-service-group --above 1000 --within 60s\n  ./sandbox wait lag --caught-up\n\nLag is what a read_committed consumer would still get, summed over the group's partitions: neither markers of transactions nor aborted records count. A partition for which the group has committed nothing has an unknown lag: it is left out of --above, and keeps --below and --caught-up from holding. --caught-up wants, besides, that no transaction is open."
)]
#[command(group(clap::ArgGroup::new("bound").required(true).args(["above", "below", "caught_up"])))]
pub struct LagCondition {
    /// Only this group of the cluster; the shop's own without the stack's prefix. Otherwise each of the shop's groups
    #[arg(long)]
    pub group: Option<String>,

    /// More records than this
    #[arg(long, value_name = "RECORDS", value_parser = whole_number::<i64>(0..=1_000_000_000_000_i64))]
    pub above: Option<i64>,

    /// Fewer records than this
    #[arg(long, value_name = "RECORDS", value_parser = whole_number::<i64>(1..=1_000_000_000_000_i64))]
    pub below: Option<i64>,

    /// Lag 0, and no open transaction
    #[arg(long)]
    pub caught_up: bool,
}

impl LagCondition {
    /// Whether each of the groups, given with its name, has the expected lag.
    pub fn check(&self, groups: &[(String, Group)]) -> Observation {
        let holds = |group: &Group| match (self.above, self.below) {
            (Some(above), _) => group.known_lag().lower() > above,
            (None, Some(below)) => group.lag_at_most(below - 1),
            (None, None) => group.is_caught_up(),
        };
        let seen = groups.iter().map(|(name, group)| format!("{name} {group}"));
        let seen: Vec<String> = seen.collect();
        Observation::judge(
            groups.iter().all(|(_, group)| holds(group)),
            seen.join("; "),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use std::collections::BTreeMap;

    use cluster_reader::{
        Lag, LagCount, LagUndefined, LogOffsets, PartitionLag, Protocol, TopicPartition,
    };

    use super::*;

    fn lag(committed: Option<i64>) -> (String, Group) {
        let at = TopicPartition {
            topic: "payments".to_owned(),
            partition: 0,
        };
        let lag = committed.map(|committed| Lag {
            readable: LagCount::of(10 - committed),
            ..Lag::default()
        });
        let row = PartitionLag {
            committed,
            log_offsets: Some(LogOffsets {
                log_start: 0,
                last_stable: 10,
                high_watermark: 10,
            }),
            owner: None,
            lag: lag.ok_or(LagUndefined::NothingCommitted),
        };
        let group = Group {
            state: "Stable".to_owned(),
            protocol: Protocol::Classic,
            members: Vec::new(),
            partitions: BTreeMap::from([(at, row)]),
        };
        ("g".to_owned(), group)
    }

    fn holds(above: Option<i64>, below: Option<i64>, committed: Option<i64>) -> bool {
        let caught_up = above.is_none() && below.is_none();
        let wanted = LagCondition {
            group: None,
            above,
            below,
            caught_up,
        };
        matches!(
            wanted.check(&[lag(Some(10)), lag(committed)]),
            Observation::Holds(_)
        ) || matches!(wanted.check(&[lag(committed)]), Observation::Holds(_))
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
    fn every_group_must_meet_the_condition() {
        let wanted = LagCondition {
            group: None,
            above: None,
            below: None,
            caught_up: true,
        };
        assert!(matches!(
            wanted.check(&[lag(Some(10)), lag(Some(9))]),
            Observation::Not(_)
        ));
    }

    #[test]
    fn one_bound_is_required_and_the_group_is_optional() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            lag: LagCondition,
        }
        let parse =
            |line: &str| Command::try_parse_from(line.split(' ')).map(|command| command.lag);
        let group = "--group inventory-service-group";
        assert!(
            parse(&format!("lag {group} --caught-up"))
                .unwrap()
                .caught_up
        );
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
}
