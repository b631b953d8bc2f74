//! The health of a group, as lag-monitor reports it.

use stack::shop_client::GroupStatus;

use super::Observation;

/// The expected health of a group.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait status inventory-service-group --topic payments --rule stalled --within 90s\n  ./sandbox wait status inventory-service-group --topic payments --not --rule keeps_up\n\nlag-monitor is asked: it has watched the group for a while, as most rules need."
)]
pub struct StatusCondition {
    /// The group, as lag-monitor's call takes it
    pub group: String,

    /// The topic, if the group reads several
    #[arg(long)]
    pub topic: Option<String>,

    /// The rule that applies: keeps_up if no other does
    #[arg(long)]
    pub rule: String,

    /// Any other rule
    #[arg(long)]
    pub not: bool,
}

impl StatusCondition {
    /// Whether this rule applies.
    pub fn check(&self, judged: &GroupStatus) -> Observation {
        let GroupStatus {
            status,
            rule,
            evidence,
        } = judged;
        let seen = format!("{} is {status} ({rule}): {evidence}", self.group);
        Observation::judge((*rule == self.rule) != self.not, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_is_identified_by_its_rule() {
        let judged = GroupStatus {
            status: "critical".to_owned(),
            rule: "stalled".to_owned(),
            evidence: "payments[1] is stuck at offset 7".to_owned(),
        };
        let wanted = |rule: &str, not| StatusCondition {
            group: "g".to_owned(),
            topic: None,
            rule: rule.to_owned(),
            not,
        };
        assert!(
            matches!(wanted("stalled", false).check(&judged), Observation::Holds(seen) if seen.contains("payments[1]"))
        );
        assert!(matches!(
            wanted("stalled", true).check(&judged),
            Observation::Not(_)
        ));
        assert!(matches!(
            wanted("stopped", false).check(&judged),
            Observation::Not(_)
        ));
        assert!(matches!(
            wanted("stopped", true).check(&judged),
            Observation::Holds(_)
        ));
    }
}
