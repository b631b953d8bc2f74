//! What lag-monitor makes of a group.

use stack::shop_client::GroupStatus;

use super::Seen;

/// A group of which lag-monitor says this.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait status inventory-service-group --topic payments --rule stalled --within 90s\n  ./sandbox wait status inventory-service-group --topic payments --not --rule keeps_up\n\nlag-monitor is asked: it has watched the group for a while, as most rules need."
)]
pub struct StatusIs {
    /// The group, as lag-monitor's call takes it
    pub group: String,

    /// The topic, if the group reads several
    #[arg(long)]
    pub topic: Option<String>,

    /// The rule that has fired: keeps_up if none has
    #[arg(long)]
    pub rule: String,

    /// Any other rule than this
    #[arg(long)]
    pub not: bool,
}

impl StatusIs {
    /// Whether it is this rule that has fired.
    pub fn check(&self, judged: &GroupStatus) -> Seen {
        let GroupStatus {
            status,
            rule,
            evidence,
        } = judged;
        let seen = format!("{} is {status} ({rule}): {evidence}", self.group);
        Seen::judge((*rule == self.rule) != self.not, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_known_by_the_rule_that_fired() {
        let judged = GroupStatus {
            status: "critical".to_owned(),
            rule: "stalled".to_owned(),
            evidence: "payments[1] stands at 7".to_owned(),
        };
        let wanted = |rule: &str, not| StatusIs {
            group: "g".to_owned(),
            topic: None,
            rule: rule.to_owned(),
            not,
        };
        assert!(
            matches!(wanted("stalled", false).check(&judged), Seen::Holds(seen) if seen.contains("payments[1]"))
        );
        assert!(matches!(
            wanted("stalled", true).check(&judged),
            Seen::Not(_)
        ));
        assert!(matches!(
            wanted("stopped", false).check(&judged),
            Seen::Not(_)
        ));
        assert!(matches!(
            wanted("stopped", true).check(&judged),
            Seen::Holds(_)
        ));
    }
}
