//! The readiness of services.

use super::Observation;
use stack::readiness_probe::ProbeResult;
use stack::target::Target;
use stack::workload::Workload;

/// The services or instances that must be ready.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait ready inventory-service\n  ./sandbox wait ready payment-service --not --within 30s     prints why it is not\n\nEvery running instance has to be ready; /health/ready of each is asked."
)]
pub struct ReadyCondition {
    /// Services or instances; without any: all services and tools
    #[arg(value_name = "SERVICE[.SLOT]")]
    pub targets: Vec<Target<Workload>>,

    /// Wait until none of them is ready
    #[arg(long)]
    pub not: bool,
}

impl ReadyCondition {
    /// Whether the instances are ready. An empty list never is.
    pub fn check(&self, answers: &[(String, ProbeResult)]) -> Observation {
        let ready = answers
            .iter()
            .filter(|(_, answer)| answer.is_ready())
            .count();
        let seen: Vec<String> = answers
            .iter()
            .map(|(name, answer)| format!("{name} is {answer}"))
            .collect();
        let holds = if self.not {
            ready == 0
        } else {
            ready > 0 && ready == answers.len()
        };
        Observation::judge(holds, seen.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_to_be_ready_and_for_the_opposite_none() {
        let both = |one, other| [("a".to_owned(), one), ("b".to_owned(), other)];
        let down = || ProbeResult::NotReady("poison_limit".to_owned());
        let ready = ReadyCondition {
            targets: Vec::new(),
            not: false,
        };
        assert!(matches!(
            ready.check(&both(ProbeResult::Ready, ProbeResult::Ready)),
            Observation::Holds(_)
        ));
        assert!(
            matches!(ready.check(&both(ProbeResult::Ready, down())), Observation::Not(seen) if seen.contains("poison_limit"))
        );
        assert!(matches!(ready.check(&[]), Observation::Not(_)));
        let not = ReadyCondition {
            targets: Vec::new(),
            not: true,
        };
        assert!(matches!(
            not.check(&both(down(), down())),
            Observation::Holds(_)
        ));
        assert!(matches!(
            not.check(&both(ProbeResult::Ready, down())),
            Observation::Not(_)
        ));
    }
}
