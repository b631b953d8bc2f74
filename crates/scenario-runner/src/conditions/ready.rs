//! Whether services can do their work.

use super::Seen;
use stack::readiness_probe::ProbeResult;
use stack::target::Target;
use stack::workload::Workload;

/// Services, or instances of them, that are ready.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ./sandbox wait ready inventory-service\n  ./sandbox wait ready payment-service --not --within 30s     prints why it is not\n\nEvery running instance has to be ready; /health/ready of each is asked."
)]
pub struct AreReady {
    /// Which; without any: all services and tools
    #[arg(value_name = "SERVICE[.SLOT]")]
    pub targets: Vec<Target<Workload>>,

    /// Wait until none of them is ready any more
    #[arg(long)]
    pub not: bool,
}

impl AreReady {
    /// Whether the instances, each with what it answered, are ready. Nobody is nobody ready.
    pub fn check(&self, answers: &[(String, ProbeResult)]) -> Seen {
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
        Seen::judge(holds, seen.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_to_be_ready_and_for_the_opposite_none() {
        let both = |one, other| [("a".to_owned(), one), ("b".to_owned(), other)];
        let down = || ProbeResult::NotReady("poison_limit".to_owned());
        let ready = AreReady {
            targets: Vec::new(),
            not: false,
        };
        assert!(matches!(
            ready.check(&both(ProbeResult::Ready, ProbeResult::Ready)),
            Seen::Holds(_)
        ));
        assert!(
            matches!(ready.check(&both(ProbeResult::Ready, down())), Seen::Not(seen) if seen.contains("poison_limit"))
        );
        assert!(matches!(ready.check(&[]), Seen::Not(_)));
        let not = AreReady {
            targets: Vec::new(),
            not: true,
        };
        assert!(matches!(not.check(&both(down(), down())), Seen::Holds(_)));
        assert!(matches!(
            not.check(&both(ProbeResult::Ready, down())),
            Seen::Not(_)
        ));
    }
}
